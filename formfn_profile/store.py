"""The store: a file of JSON lines that only ever grows, one record a line."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from formfn_profile.errors import ResultsError
from formfn_profile.results import SCHEMA, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader
    from os import PathLike
    from types import TracebackType

    import pandas as pd
    from typing_extensions import Self

__all__ = ["load", "read", "save", "to_pandas"]

_LONGEST = 64 << 20
_MOST_UNPACKED, _MOST_GAIN = 64 << 20, 200  # deflate gains a factor of 1032 at most, records some 20


class Store:
    """
    An append-only file of records, open for one writer.

    Each record is one `write` followed by `fsync`: what `append` has returned from survives a kill of
    the process. A line that an earlier writer left unfinished is moved to `FILE.torn`, and `notice`
    says so. A file made here that got no record is removed again.
    """

    def __init__(self, path: Path) -> None:
        """
        Open `path` for appending, creating it and its folder.

        Raises:
            ResultsError: The file cannot be written, or another process is writing it.
        """
        self.path = path
        self.notice: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made = not path.exists()
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ResultsError(
                f"cannot write records to {path}: {os.strerror(error.errno or 0)}."
                " Name one you may write with --out"
            ) from None
        try:
            self._lock()
            self._set_torn_line_aside()
        except OSError as error:
            os.close(self._fd)
            raise ResultsError(
                f"cannot write records to {path}: {os.strerror(error.errno or 0)}."
                " Name a file with --out that may be locked, in a folder that may be written"
            ) from None
        except BaseException:
            os.close(self._fd)
            raise

    def append(self, record: Record) -> None:
        """
        Write one record and flush it to disk.

        Raises:
            ResultsError: The disk is full, or the file can no longer be written.
        """
        line = json.dumps(record.to_dict(), allow_nan=False).encode() + b"\n"
        try:
            end = os.fstat(self._fd).st_size
            written = os.write(self._fd, line)
            if written != len(line):
                os.ftruncate(self._fd, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - as write says it
            os.fsync(self._fd)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            remedy = ". Free disk space, then run the same again" if full else ""
            raise ResultsError(
                f"cannot write a record to {self.path}: {os.strerror(error.errno or 0)}{remedy}"
            ) from None

    def close(self) -> None:
        """Close the file, which releases its lock."""
        if self._fd >= 0:
            if self._made and os.fstat(self._fd).st_size == 0:
                self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultsError(
                f"another process is writing {self.path}. Wait for it, or name another file with --out"
            ) from None

    def _set_torn_line_aside(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole == len(data):
            return
        aside = self.path.with_name(self.path.name + ".torn")
        with aside.open("ab") as torn:
            torn.write(data[whole:] + b"\n")
            torn.flush()
            os.fsync(torn.fileno())
        os.ftruncate(self._fd, whole)
        os.fsync(self._fd)
        self.notice = (
            f"the last line of {self.path} was unfinished ({len(data) - whole} bytes, no newline):"
            f" moved to {aside}"
        )


def read(path: Path) -> Iterator[Record]:
    """
    Yield the records of a file. An unfinished last line, which a killed writer leaves, is no record and
    is passed over. A file named `.gz` is read as gzip.

    Raises:
        ResultsError: The file cannot be read, or a finished line is not a record.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(_lines(file, path), 1):
                if line.endswith(b"\n") and line.strip():
                    yield _record(path, number, line)
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ResultsError(f"cannot read records from {path}: {why}") from None


def load(path: Path) -> list[Record]:
    """
    Return the records of a file, in the order they were written.

    Raises:
        ResultsError: The file cannot be read, or a finished line is not a record.
    """
    return list(read(path))


def save(records: Iterable[Record], path: str | PathLike[str], *, overwrite: bool = False) -> None:
    """
    Write records to a file that is not there yet, or with `overwrite` in place of one that is; a file named
    `.gz` is written as gzip.

    Raises:
        ResultsError: The file is there, or cannot be written.
    """
    file = Path(path)
    if file.exists() and not overwrite:
        raise ResultsError(f"{file} is there already. Name another file, or say overwrite=True")
    data = "".join(json.dumps(record.to_dict(), allow_nan=False) + "\n" for record in records).encode()
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
        new.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise ResultsError(f"cannot write records to {file}: {error.strerror}. Name another file") from None


def to_pandas(records: Iterable[Record]) -> pd.DataFrame:
    """
    Return a table of one row a record, with the columns that the file has (`pandas` is not installed
    with this package).

    Raises:
        ResultsError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ResultsError(
            "a table of records needs pandas, which is not installed. Run: pip install pandas"
        ) from None
    return pd.DataFrame([record.to_dict() for record in records])


def _lines(file: BufferedReader | gzip.GzipFile, path: Path) -> Iterator[bytes]:
    """Yield the lines; a small file must not unpack to what fills the memory."""
    left = _MOST_UNPACKED + _MOST_GAIN * path.stat().st_size
    while line := file.readline(_LONGEST + 1):
        left -= len(line)
        if len(line) > _LONGEST or left < 0:
            raise ResultsError(
                f"cannot read records from {path}: it unpacks to more than records take"
                if left < 0
                else f"cannot read records from {path}: a line is longer than {_LONGEST >> 20} MiB"
            )
        yield line


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        flat: Any = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ResultsError(
            f"{path}, line {number}: not JSON ({error}). Move the line away to read the rest"
        ) from None
    if not isinstance(flat, dict) or "schema" not in flat:
        raise ResultsError(
            f"{path}, line {number}: not a record of formfn-profile (it has no schema version)"
        )
    if type(flat["schema"]) is not int or flat["schema"] < 1:
        raise ResultsError(
            f"{path}, line {number}: schema {flat['schema']!r} is none; this version writes {SCHEMA}"
        )
    try:
        return Record.from_dict(flat)
    except (ResultsError, RecursionError) as error:
        raise ResultsError(f"{path}, line {number}: {error}") from None
