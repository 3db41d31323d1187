"""The folder where this project keeps what it made for this user."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def cache_folder() -> Path:
    """
    Give the project's folder in ``XDG_CACHE_HOME`` or ``~/.cache``; it need not exist.

    A relative ``XDG_CACHE_HOME`` is passed over, as the XDG Base Directory Specification has it.

    Raises:
        OSError: This user has no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            raise FileNotFoundError(errno.ENOENT, "this user has no home folder") from None
    return base / "formfn-profile"
