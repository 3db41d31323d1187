"""The cache model once more, slow and obvious: what csrc/llcsim/cache.c must equal, event for event."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

LINE = 64
PAGE_LINES = 4096 // LINE
NAMES = (
    "l1d_misses",
    "l2_misses",
    "llc_references",
    "llc_misses",
    "llc_writebacks",
    "coherence_misses",
    "llc_prefetches",
    "llc_prefetch_misses",
    "useful_prefetches",
)


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
        """The word that csrc/llcsim/cache.h has for it."""
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

    def __contains__(self, line: int) -> bool:
        return line in self.sets[line % len(self.sets)].dirty


class Private:
    """A thread's caches, and what it remembers of lines that it no longer has, or has not used yet."""

    def __init__(self, l1d: Geometry, l2: Geometry | None) -> None:
        self.l1d = Cache(l1d)
        self.l2 = Cache(l2) if l2 else None
        self.caches = [self.l1d, self.l2] if self.l2 else [self.l1d]
        self.last = self.caches[-1]
        self.taken = Cache(replace(l2 or l1d, policy="lru"))  # as many lines a set as the last cache has
        self.prefetched: set[int] = set()

    def __contains__(self, line: int) -> bool:
        return line in self.last or line in self.l1d

    def remove(self, line: int) -> bool:
        """Take a line out of all caches. Returns whether a copy was dirty."""
        dirty = [cache.remove(line) for cache in self.caches]
        return any(dirty)


@dataclass
class Model:
    """One processor: private L1d and L2 for each thread before one LLC."""

    l1d: Geometry
    l2: Geometry | None
    llc: Geometry
    inclusion: str = "non-inclusive"
    next_line: bool = False
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))

    def __post_init__(self) -> None:
        self.private: dict[int, Private] = {}
        self.shared = Cache(self.llc)

    def run(self, accesses: list[Access]) -> list[int]:
        for access in accesses:
            for line in access.lines:
                if access.thread not in self.private:
                    self.private[access.thread] = Private(self.l1d, self.l2)
                own = self.private[access.thread]
                if access.non_temporal:
                    self.store_past_caches(own, line)
                else:
                    self.touch(own, line, write=access.write)
        return list(self.counts.values())

    def holders(self, own: Private, line: int) -> list[Private]:
        """The caches of other threads that hold a line."""
        return [each for each in self.private.values() if each is not own and line in each]

    def take(self, holders: list[Private], line: int) -> bool:
        """A write takes its line out of other threads' caches. Returns whether a copy was dirty."""
        dirty = [each.remove(line) for each in holders]
        for each in holders:
            each.taken.use(line, dirty=False)
        return any(dirty)

    def store_past_caches(self, own: Private, line: int) -> None:
        dirty = [self.take(self.holders(own, line), line), own.remove(line), self.shared.remove(line)]
        self.counts["llc_writebacks"] += any(dirty)

    def touch(self, own: Private, line: int, *, write: bool) -> None:
        elsewhere = self.holders(own, line)
        if write:
            self.take(elsewhere, line)  # a dirty copy goes to the writer, whose own is dirty then
        hit, victim = own.l1d.use(line, dirty=write)
        if not hit:
            self.counts["l1d_misses"] += 1
        if own.l2 and not hit:
            self.write_back(victim, own.l2)
            hit, victim = own.l2.use(line, dirty=False)
            self.counts["l2_misses"] += not hit
        elif own.l2:
            return
        prefetched = line in own.prefetched
        own.prefetched.discard(line)
        if hit:
            self.counts["useful_prefetches"] += prefetched
            return
        self.counts["coherence_misses"] += own.taken.remove(line) is not None
        self.counts["llc_references"] += 1
        self.counts["llc_misses"] += self.fetch(own, line, victim) and not elsewhere
        if self.next_line and (line + 1) % PAGE_LINES and line + 1 not in own.last:
            self.prefetch(own, line + 1)

    def prefetch(self, own: Private, line: int) -> None:
        elsewhere = self.holders(own, line)
        _, victim = own.last.use(line, dirty=False)
        own.taken.remove(line)
        own.prefetched.add(line)
        self.counts["llc_prefetches"] += 1
        self.counts["llc_prefetch_misses"] += self.fetch(own, line, victim) and not elsewhere

    def fetch(self, own: Private, line: int, victim: tuple[int, bool] | None) -> bool:
        """Get a line that displaced another one in the last private cache. Returns whether the LLC missed."""
        if self.inclusion == "exclusive":
            return self.fetch_exclusive(own, line, victim)
        self.write_back(victim, None)
        hit, evicted = self.shared.use(line, dirty=False)
        if evicted is not None:
            dirty = [evicted[1]]
            if self.inclusion == "inclusive":
                dirty += [each.remove(evicted[0]) for each in self.private.values()]
            self.counts["llc_writebacks"] += any(dirty)
        return not hit

    def write_back(self, victim: tuple[int, bool] | None, l2: Cache | None) -> None:
        """A dirty line goes to the first level behind that holds it, else to memory."""
        if victim is None or not victim[1]:
            return
        line = victim[0]
        if (l2 and l2.mark_dirty(line)) or self.shared.mark_dirty(line):
            return
        self.counts["llc_writebacks"] += 1

    def fetch_exclusive(self, own: Private, line: int, victim: tuple[int, bool] | None) -> bool:
        was_dirty = self.shared.remove(line)
        if was_dirty:
            own.last.mark_dirty(line)
        if victim is not None:
            old, dirty = victim
            if own.l2:
                dirty |= bool(own.l1d.remove(old))  # L2 includes L1d
            _, evicted = self.shared.use(old, dirty=dirty)
            self.counts["llc_writebacks"] += evicted is not None and evicted[1]
        return was_dirty is None
