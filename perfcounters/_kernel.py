"""The seam to the kernel: the only module here that calls perf_event_open(2) and reads /proc and /sys."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfcounters._perf import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DISABLED = lib.PE_DISABLED
INHERIT = lib.PE_INHERIT
INHERIT_THREAD = lib.PE_INHERIT_THREAD
EXCLUDE_USER = lib.PE_EXCLUDE_USER
EXCLUDE_KERNEL = lib.PE_EXCLUDE_KERNEL
ENABLE_ON_EXEC = lib.PE_ENABLE_ON_EXEC

TYPE_HARDWARE = lib.PERF_TYPE_HARDWARE
TYPE_SOFTWARE = lib.PERF_TYPE_SOFTWARE
TYPE_HW_CACHE = lib.PERF_TYPE_HW_CACHE
TYPE_RAW = lib.PERF_TYPE_RAW
TYPE_BREAKPOINT = lib.PERF_TYPE_BREAKPOINT
BREAKPOINT_READ = lib.HW_BREAKPOINT_R
BREAKPOINT_WRITE = lib.HW_BREAKPOINT_W

SYSTEM_ROOT = Path("/")
_NUMBER = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class Encoding:
    """What the kernel calls an event: type and config words of `perf_event_attr`."""

    type: int
    config: int
    config1: int = 0
    config2: int = 0
    bp_type: int = 0

    @property
    def pmu(self) -> int:
        """Type of the PMU that counts it: generic hardware events name that of a hybrid in bits 32 up."""
        generic = self.type in (TYPE_HARDWARE, TYPE_HW_CACHE)
        return self.config >> 32 or self.type if generic else self.type


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def open_event(encoding: Encoding, *, flags: int, pid: int, cpu: int = -1, group_fd: int = -1) -> int:
    """
    Open one event, close-on-exec, and return its file descriptor.

    Args:
        flags: Sum of the flags above.
        pid: Task to count in; 0 is the calling thread, -1 every task on `cpu`.
        cpu: CPU number, or -1 for any.
        group_fd: Descriptor of the group's leader, or -1 to lead.

    Raises:
        OSError: With the kernel's errno.
    """
    event = ffi.new(
        "struct pe_event *",
        {
            "type": encoding.type,
            "bp_type": encoding.bp_type,
            "config": encoding.config,
            "config1": encoding.config1,
            "config2": encoding.config2,
        },
    )
    return _checked(lib.pe_open(event, flags, pid, cpu, group_fd))


def event_id(fd: int) -> int:
    """Give the number by which a group's read names this event."""
    identity = ffi.new("uint64_t *")
    _checked(lib.pe_id(fd, identity))
    return int(identity[0])


def group_times(leader: int, size: int) -> tuple[int, int]:
    """Give the times, in ns, that a group of so many events was enabled, and of that was on the PMU."""
    answer = os.read(leader, 8 * (3 + 2 * size))
    if len(answer) < 24:
        return 0, 0
    _, enabled, running = struct.unpack_from("=3Q", answer)
    return enabled, running


def enable(leader: int) -> None:
    """Start a group's leader, in its inherited children too, and so the group."""
    _checked(lib.pe_enable(leader))


def close(fd: int) -> None:
    """Close a descriptor."""
    os.close(fd)


class GroupReader:
    """
    Reads groups one after the other in one C call, each group's events at one instant.

    A group of n events takes 3 + 2n words: nr, time_enabled and time_running in ns, then value and
    id for each event; nr is 0 where the kernel gave less than that.

    `read_into(target, buffer)` is the C call itself, with `target` for its first argument, so that as
    little as can be happens beside the reading, which is in every count. It returns 0 or -errno.

    Args:
        leaders: Descriptors of the groups' leaders.
        ids: The numbers of each group's events.
        mapped: Descriptors of each group's events, to read them in user space where the kernel and
            the moment allow it: only for events of the calling thread, which are not inherited.
        own: They count the calling thread; `read_own_into` then answers any other -EXDEV.
    """

    def __init__(
        self,
        leaders: Sequence[int],
        ids: Sequence[Sequence[int]],
        mapped: Sequence[Sequence[int]] = (),
        *,
        own: bool = False,
    ) -> None:
        offsets = [0]
        for group in ids:
            offsets.append(offsets[-1] + 3 + 2 * len(group))
        self.offsets = tuple(offsets)
        self._buffer_type = ffi.typeof(f"uint64_t[{offsets[-1]}]")
        self._pages = _mapped(fd for group in mapped for fd in group)
        self._leaders = ffi.new("int[]", list(leaders))
        kept = {
            "leaders": self._leaders,
            "offsets": ffi.new("size_t[]", offsets),
            "ids": ffi.new("uint64_t[]", [one for group in ids for one in group]),
        }
        if self._pages:
            kept["pages"] = ffi.new("const struct perf_event_mmap_page *[]", self._pages)
        if own:
            kept["thread"] = lib.pe_this_thread()
        self._kept = kept  # a C structure does not keep what it points to
        self.target = ffi.new("struct pe_reader *", {"n": len(leaders), **kept})
        self.read_into: Callable[[Any, Any], int] = lib.pe_read_groups
        self.read_own_into: Callable[[Any, Any], int] = lib.pe_read_own_groups if own else lib.pe_read_groups

    @property
    def reads_in_user_space(self) -> bool:
        """Whether the events' pages are mapped; single reads may take the system call even so."""
        return bool(self._pages)

    def new_buffer(self) -> Any:
        """Give room for one read."""
        return ffi.new(self._buffer_type)

    def read_around(self, function: int, argument: int) -> tuple[Any, Any]:
        """
        Read, call the C function at this address, read, in one C call without the GIL.

        Raises:
            OSError: With the kernel's errno.
        """
        before, after = self.new_buffer(), self.new_buffer()
        called = ffi.cast("uint64_t (*)(uint64_t)", function)
        _checked(lib.pe_count_call(self.target, before, after, called, argument))
        return before, after

    def words(self, buffer: Any) -> list[int]:
        """Unpack a buffer that was read into."""
        words: list[int] = ffi.unpack(buffer, self.offsets[-1])
        return words

    def unmap(self) -> None:
        """Give the pages back."""
        pages, self._pages = self._pages, []
        self.target.pages = ffi.NULL
        for page in pages:
            lib.pe_unmap(page)

    def forget(self) -> None:
        """
        Make every read fail with EBADF, and leave the pages' place alone.

        For a forked child: its descriptors count its parent, and the kernel has not copied the pages, so
        that other things may be where they were.
        """
        self._pages = []
        self.target.pages = ffi.NULL
        for i in range(self.target.n):
            self._leaders[i] = -1


def _mapped(fds: Iterable[int]) -> list[Any]:
    """Map the pages of events; none if the kernel refuses one (it limits locked memory), for all are read."""
    pages: list[Any] = []
    for fd in fds:
        page = lib.pe_map(fd)
        if page == ffi.NULL:
            for other in pages:
                lib.pe_unmap(other)
            return []
        pages.append(page)
    return pages


def threads() -> frozenset[int]:
    """Give the ids of this process's threads."""
    return frozenset(int(name) for name in os.listdir("/proc/self/task"))  # noqa: PTH208 - Path costs twice


def text(path: str) -> str | None:
    """Give a system file's text without surrounding space; None where it can't be read."""
    try:
        return (SYSTEM_ROOT / path.lstrip("/")).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(path: str) -> int | None:
    """Give the whole number that a system file holds; None where it holds none that fits into 32 bits."""
    found = _NUMBER.fullmatch(text(path) or "")
    return int(found[0]) if found else None


def names(folder: str) -> tuple[str, ...]:
    """Give the sorted names in a system folder; none where there is no such folder."""
    try:
        return tuple(sorted(entry.name for entry in (SYSTEM_ROOT / folder.lstrip("/")).iterdir()))
    except OSError:
        return ()


def paranoid() -> int | None:
    """Give the level of `perf_event_paranoid`; None where the kernel has no such file."""
    return number("/proc/sys/kernel/perf_event_paranoid")


def release() -> tuple[int, int]:
    """Give the two numbers of the kernel's version; (0, 0) where it does not say."""
    found = re.match(r"(\d+)\.(\d+)", text("/proc/sys/kernel/osrelease") or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)


def open_descriptors() -> int:
    """Give the number of descriptors that this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - see threads
