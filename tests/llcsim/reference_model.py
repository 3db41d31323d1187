"""The cache model once more, slow and obvious: what csrc/llcsim/cache.c must equal, event for event."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

LINE = 64


@dataclass(frozen=True)
class Geometry:
    sets: int
    ways: int


@dataclass(frozen=True)
class Access:
    thread: int
    address: int
    size: int
    write: bool

    @property
    def entry(self) -> int:
        """The word in which the tool records it."""
        return self.address | self.size << 56 | self.write << 63


class Cache:
    """Set-associative, true LRU: each set an ordered dict of line -> dirty, oldest first."""

    def __init__(self, geometry: Geometry) -> None:
        self.ways = geometry.ways
        self.sets: list[OrderedDict[int, bool]] = [OrderedDict() for _ in range(geometry.sets)]

    def set_of(self, line: int) -> OrderedDict[int, bool]:
        return self.sets[line % len(self.sets)]

    def use(self, line: int, *, write: bool) -> tuple[bool, int | None]:
        """Access a line. Returns whether it hit, and the dirty line that it displaced, if any."""
        lines = self.set_of(line)
        if line in lines:
            lines[line] |= write
            lines.move_to_end(line)
            return True, None
        victim = None
        if len(lines) == self.ways:
            oldest, dirty = lines.popitem(last=False)
            victim = oldest if dirty else None
        lines[line] = write
        return False, victim

    def mark_dirty(self, line: int) -> bool:
        lines = self.set_of(line)
        if line in lines:
            lines[line] = True
        return line in lines


@dataclass
class Model:
    """One processor: private L1d and L2 for each thread before one LLC."""

    l1d: Geometry
    l2: Geometry | None
    llc: Geometry
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("l1d_misses", "l2_misses", "llc_references", "llc_misses", "llc_writebacks"), 0
        )
    )

    def __post_init__(self) -> None:
        self.private: dict[int, tuple[Cache, Cache | None]] = {}
        self.shared = Cache(self.llc)

    def run(self, accesses: list[Access]) -> list[int]:
        for access in accesses:
            first = access.address // LINE
            last = (access.address + access.size - 1) // LINE
            for line in sorted({first, last}):
                self.touch(access.thread, line, write=access.write)
        return list(self.counts.values())

    def touch(self, thread: int, line: int, *, write: bool) -> None:
        if thread not in self.private:
            self.private[thread] = (Cache(self.l1d), Cache(self.l2) if self.l2 else None)
        l1d, l2 = self.private[thread]
        hit, victim = l1d.use(line, write=write)
        if hit:
            return
        self.counts["l1d_misses"] += 1
        if victim is not None and not (l2 and l2.mark_dirty(victim)):
            self.write_back(victim)
        if l2:
            hit, victim = l2.use(line, write=False)
            if hit:
                return
            self.counts["l2_misses"] += 1
            if victim is not None:
                self.write_back(victim)
        self.counts["llc_references"] += 1
        hit, victim = self.shared.use(line, write=False)
        if not hit:
            self.counts["llc_misses"] += 1
            self.counts["llc_writebacks"] += victim is not None

    def write_back(self, line: int) -> None:
        self.counts["llc_writebacks"] += not self.shared.mark_dirty(line)
