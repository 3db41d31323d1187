"""Work whose counts are known beforehand, in C: what counters are checked against."""

from __future__ import annotations

import mmap
import os

from perfcounters._perf import ffi, lib

__all__ = ["Walk", "instructions", "instructions_address", "page_faults"]

LINE_BYTES = 64


def instructions(n: int) -> bool:
    """Execute 2n instructions in a loop, plus a few; False where no loop is written for this processor."""
    return bool(lib.work_instructions(n))


def instructions_address() -> int:
    """Give the address of the C function behind `instructions`, for `Counters.call`."""
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, "work_instructions")))


def page_faults(pages: int) -> None:
    """
    Touch so many fresh small pages, each a page fault.

    Raises:
        OSError: They could not be mapped.
    """
    result = lib.work_page_faults(pages)
    if result < 0:
        raise OSError(-result, os.strerror(-result))


class Walk:
    """
    A chase of pointers over `lines` cache lines of 64 bytes in one random cycle.

    Each load needs the one before, and the next address can't be foreseen. After `flush` no cache
    holds a line of it, so that one round has to fetch each line from memory once.
    """

    def __init__(self, lines: int, *, seed: int = 1) -> None:
        self.lines = lines
        self._bytes = lines * LINE_BYTES
        self._map = mmap.mmap(-1, self._bytes)
        self._memory = ffi.from_buffer("char[]", self._map)
        self._at = ffi.cast("void *", self._memory)
        lib.work_tie_cycle(self._memory, lines, LINE_BYTES, seed)

    def flush(self) -> bool:
        """Drop all lines from the caches; False where that can't be done on this processor."""
        return bool(lib.work_flush(self._memory, self._bytes, LINE_BYTES))

    def go(self, steps: int) -> None:
        """Make so many loads, from where the last walk ended."""
        self._at = lib.work_walk(self._at, steps)
