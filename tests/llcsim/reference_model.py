"""The cache model once more, slow and obvious: what csrc/llcsim/cache.c must equal, event for event."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

LINE = 64
NAMES = ("l1d_misses", "l2_misses", "llc_references", "llc_misses", "llc_writebacks")


@dataclass(frozen=True)
class Geometry:
    sets: int
    ways: int
    policy: str = "lru"


@dataclass(frozen=True)
class Access:
    thread: int
    address: int
    size: int
    write: bool
    non_temporal: bool = False

    @property
    def entry(self) -> int:
        """The word in which the tool records it."""
        return self.address | self.write << 55 | (self.size + 128 * self.non_temporal) << 56

    @property
    def lines(self) -> list[int]:
        return sorted({self.address // LINE, (self.address + self.size - 1) // LINE})


class LruSet:
    """An ordered dict of line -> dirty, oldest first."""

    def __init__(self, ways: int) -> None:
        self.ways = ways
        self.dirty: OrderedDict[int, bool] = OrderedDict()

    def touch(self, line: int) -> None:
        self.dirty.move_to_end(line)

    def insert(self, line: int, *, dirty: bool) -> tuple[int, bool] | None:
        victim = self.dirty.popitem(last=False) if len(self.dirty) == self.ways else None
        self.dirty[line] = dirty
        return victim

    def remove(self, line: int) -> bool:
        return self.dirty.pop(line)


class TreeSet:
    """
    Ways at the leaves of a binary tree. Each inner node, named by the ways below it, remembers the
    half that was used last; the victim is found by always taking the other one.
    """

    def __init__(self, ways: int) -> None:
        self.lines: list[int | None] = [None] * ways
        self.dirty: dict[int, bool] = {}
        self.used_left: dict[tuple[int, int], bool] = {}

    def touch(self, line: int) -> None:
        way, low, high = self.lines.index(line), 0, len(self.lines)
        while high - low > 1:
            middle = (low + high) // 2
            self.used_left[low, high] = way < middle
            low, high = (low, middle) if way < middle else (middle, high)

    def insert(self, line: int, *, dirty: bool) -> tuple[int, bool] | None:
        victim = None
        if None in self.lines:
            way = self.lines.index(None)
        else:
            low, high = 0, len(self.lines)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self.used_left[low, high] else (low, middle)
            way = low
            old = self.lines[way]
            victim = (old, self.dirty.pop(old))
        self.lines[way] = line
        self.dirty[line] = dirty
        self.touch(line)
        return victim

    def remove(self, line: int) -> bool:
        self.lines[self.lines.index(line)] = None
        return self.dirty.pop(line)


class Cache:
    def __init__(self, geometry: Geometry) -> None:
        kind = LruSet if geometry.policy == "lru" else TreeSet
        self.sets = [kind(geometry.ways) for _ in range(geometry.sets)]

    def set_of(self, line: int) -> LruSet | TreeSet:
        return self.sets[line % len(self.sets)]

    def use(self, line: int, *, dirty: bool) -> tuple[bool, tuple[int, bool] | None]:
        """Access a line. Returns whether it hit, and what it displaced, if anything: line and dirty."""
        lines = self.set_of(line)
        if line not in lines.dirty:
            return False, lines.insert(line, dirty=dirty)
        lines.dirty[line] |= dirty
        lines.touch(line)
        return True, None

    def mark_dirty(self, line: int) -> bool:
        lines = self.set_of(line)
        if line in lines.dirty:
            lines.dirty[line] = True
        return line in lines.dirty

    def remove(self, line: int) -> bool | None:
        """Take a line out. Returns whether it was dirty; None if it was not there."""
        lines = self.set_of(line)
        return lines.remove(line) if line in lines.dirty else None


@dataclass
class Model:
    """One processor: private L1d and L2 for each thread before one LLC."""

    l1d: Geometry
    l2: Geometry | None
    llc: Geometry
    inclusion: str = "non-inclusive"
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))

    def __post_init__(self) -> None:
        self.private: dict[int, tuple[Cache, Cache | None]] = {}
        self.shared = Cache(self.llc)

    def run(self, accesses: list[Access]) -> list[int]:
        for access in accesses:
            for line in access.lines:
                if access.thread not in self.private:
                    l2 = Cache(self.l2) if self.l2 else None
                    self.private[access.thread] = (Cache(self.l1d), l2)
                if access.non_temporal:
                    self.store_past_caches(access.thread, line)
                else:
                    self.touch(access.thread, line, write=access.write)
        return list(self.counts.values())

    def store_past_caches(self, thread: int, line: int) -> None:
        threads = [thread] if self.inclusion == "non-inclusive" else list(self.private)
        copies = [cache for each in threads for cache in self.private[each] if cache]
        dirty = [cache.remove(line) for cache in [*copies, self.shared]]
        self.counts["llc_writebacks"] += any(dirty)

    def touch(self, thread: int, line: int, *, write: bool) -> None:
        l1d, l2 = self.private[thread]
        hit, victim = l1d.use(line, dirty=write)
        if hit:
            return
        self.counts["l1d_misses"] += 1
        if l2:
            self.write_back(victim, l2)
            hit, victim = l2.use(line, dirty=False)
            if hit:
                return
            self.counts["l2_misses"] += 1
        self.counts["llc_references"] += 1
        if self.inclusion == "exclusive":
            self.fetch_exclusive(thread, line, victim)
        else:
            self.write_back(victim, None)
            self.fetch(line)

    def write_back(self, victim: tuple[int, bool] | None, l2: Cache | None) -> None:
        """A dirty line goes to the first level behind that holds it, else to memory."""
        if victim is None or not victim[1]:
            return
        line = victim[0]
        if (l2 and l2.mark_dirty(line)) or self.shared.mark_dirty(line):
            return
        self.counts["llc_writebacks"] += 1

    def fetch(self, line: int) -> None:
        hit, victim = self.shared.use(line, dirty=False)
        if hit:
            return
        self.counts["llc_misses"] += 1
        if victim is None:
            return
        dirty = [victim[1]]
        if self.inclusion == "inclusive":
            copies = [cache for private in self.private.values() for cache in private if cache]
            dirty += [cache.remove(victim[0]) or False for cache in copies]
        self.counts["llc_writebacks"] += any(dirty)

    def fetch_exclusive(self, thread: int, line: int, victim: tuple[int, bool] | None) -> None:
        l1d, l2 = self.private[thread]
        was_dirty = self.shared.remove(line)
        if was_dirty is None:
            self.counts["llc_misses"] += 1
        elif was_dirty:
            (l2 or l1d).mark_dirty(line)
        if victim is None:
            return
        old, dirty = victim
        if l2:
            dirty |= bool(l1d.remove(old))  # L2 includes L1d
        _, evicted = self.shared.use(old, dirty=dirty)
        self.counts["llc_writebacks"] += evicted is not None and evicted[1]
