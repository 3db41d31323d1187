"""The folder of a run's temporary files: private, removed at its end, or by a later run if it was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "formfn-profile-"
_YOUNG_S = 60.0  # a run that has just made its folder may not have locked it yet


@contextmanager
def scratch() -> Iterator[Path]:
    """
    Make a folder that only this user may enter, and remove it with all that is in it.

    A run that is killed leaves its folder behind, networks' weights in it; the lock on it goes with the
    process, and so the next run knows that it may remove it.

    Raises:
        MeasurementError: There is no folder for temporary files that can be written.
    """
    _remove_left_behind()
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX))
        except OSError as error:
            raise MeasurementError(
                f"cannot make a folder for temporary files: {error.strerror}. Set TMPDIR to a folder that can"
                " be written and has room for the networks"
            ) from None
        with contextlib.suppress(OSError):  # a file system without locks: nobody removes what was left there
            stack.enter_context(_locked(folder))
        yield Path(folder)


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Raise BlockingIOError if another process has it locked."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_left_behind() -> None:
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                state = folder.lstat()
                old = time.time() - state.st_mtime > _YOUNG_S
                if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and old:
                    with _locked(str(folder)):
                        shutil.rmtree(folder, ignore_errors=True)
