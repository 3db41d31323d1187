"""
Programs that this user built, run only if they are as they were built and nobody else could change them.

The hash finds what a full disk or a crash damaged. That another user changed it is ruled out by the owner
and the mode of the folder and of every folder above it, which is what keeps the hash itself.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import stat
from typing import TYPE_CHECKING

from perfcounters.errors import SimulatorBuildError

if TYPE_CHECKING:
    from pathlib import Path

SEAL = "seal.json"


def seal(folder: Path) -> None:
    """Write down what the folder holds, and let only its owner change it."""
    for path in folder.iterdir():
        if not path.is_symlink():
            path.chmod(0o700)
    (folder / SEAL).write_text(json.dumps(_contents(folder), indent=1), encoding="utf-8")
    (folder / SEAL).chmod(0o600)


def check(folder: Path) -> None:
    """
    Refuse a folder that is not as `seal` left it, or that others may write.

    Raises:
        SimulatorBuildError: Names the file or folder, and the remedy.
    """
    own = [folder, *(path for path in folder.iterdir() if not path.is_symlink())]
    for path in own:
        state = path.stat()
        if state.st_uid != os.getuid() or _others_may_write(state):
            message = (
                f"will not run {path}: it is not yours alone to write; remove {folder} and it is built again"
            )
            raise SimulatorBuildError(message)
    for above in folder.resolve().parents:
        state = above.stat()
        if state.st_uid not in (os.getuid(), 0) or (
            _others_may_write(state) and not state.st_mode & stat.S_ISVTX
        ):
            message = (
                f"will not run what is in {folder}: others may write {above}. Run: chmod go-w {above},"
                " or set XDG_CACHE_HOME to a folder of your own"
            )
            raise SimulatorBuildError(message)
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        sealed = None
    if not isinstance(sealed, dict) or (found := _contents(folder)) != sealed:
        changed = [SEAL] if not isinstance(sealed, dict) else _different(found, sealed)
        message = (
            f"will not run what is in {folder}: {', '.join(changed)} changed since it was built; remove the"
            " folder and it is built again"
        )
        raise SimulatorBuildError(message)


def _contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, the target of each link."""
    return {
        path.name: f"-> {path.readlink()}"
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != SEAL
    }


def _different(found: dict[str, str], sealed: dict[str, str]) -> list[str]:
    return [name for name in sorted({*found, *sealed}) if found.get(name) != sealed.get(name)]


def _others_may_write(state: os.stat_result) -> bool:
    """A group that only this user is in is no other."""
    if state.st_mode & stat.S_IWOTH:
        return True
    return bool(state.st_mode & stat.S_IWGRP) and not _own_group(state.st_gid)


def _own_group(number: int) -> bool:
    try:
        user = pwd.getpwuid(os.getuid())
        return user.pw_gid == number and grp.getgrgid(number).gr_mem in ([], [user.pw_name])
    except KeyError:
        return False
