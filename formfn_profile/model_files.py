"""
What a model file may not do unless it is trusted: run code, read or write files, unpack to fill the memory.

ONNX and OpenVINO IR are data. TorchScript is a program in a small language of its own, whose operators may
touch files; what `torch.export.save` wrote is unpickled in part when it is loaded, and a pickled module
runs whatever code is in it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from formfn_profile.errors import NetworkError

# Archives of PyTorch are not compressed; somebody may have packed one again, weights then shrink a little.
_MOST_GAIN, _MOST_UNPACKED = 10, 64 << 20
_TOUCHES_FILES = re.compile(rb"\b(?:torch|ops\.\w+)\.(save|load|from_file|read_file|write_file)\(")


def check(path: Path, *, trust: bool) -> None:
    """
    Refuse a file that would do what it may not; one that is no archive is left to its reader.

    Raises:
        NetworkError: Says what it would do, and the remedy.
    """
    if path.suffix == ".pt2" and not trust:
        raise NetworkError(
            f"{path}: PyTorch unpickles parts of what torch.export.save wrote, which may run code in it:"
            " say --trust (in Python: formfn_profile.models.resolve(FILE, trust=True)) if you know where it"
            " comes from, or give ONNX or OpenVINO IR"
        )
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            if not trust:
                _check_code(path, archive)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise NetworkError(f"cannot read the model {path}: its archive is damaged ({error})") from None


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    outside = [name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts]
    if outside:
        raise NetworkError(f"{path} holds a file that would lie outside its folder: {outside[0]!r}")
    unpacked, packed = sum(entry.file_size for entry in entries), path.stat().st_size
    if unpacked > _MOST_UNPACKED + _MOST_GAIN * packed:
        raise NetworkError(
            f"{path} of {packed:,} bytes would unpack to {unpacked:,}, which no model of PyTorch's does."
            " Save it again with torch.jit.save"
        )


def _check_code(path: Path, archive: zipfile.ZipFile) -> None:
    for entry in archive.infolist():
        if "/code/" in f"/{entry.filename}" and (found := _TOUCHES_FILES.search(archive.read(entry))):
            raise NetworkError(
                f"{path} calls {found[1].decode()}, which reads or writes files:"
                " say --trust if you know where it comes from"
            )
