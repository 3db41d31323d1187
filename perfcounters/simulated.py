"""What the simulator counted, as values: `SimulatedCounts` and its parts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from perfcounters.caches import LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perfcounters.caches import Processor

__all__ = ["CacheCounts", "CurvePoint", "SimulatedCounts"]

# Of csrc/llcsim/requests.h.
COMMON_WORDS, PROCESSOR_WORDS, CURVE_WAYS = 5, 11, 64


@dataclass(frozen=True)
class CurvePoint:
    """Misses of an LLC of `llc_bytes` bytes: `ways` ways of the sets of the modelled LLC."""

    llc_bytes: int
    ways: int
    misses: int


@dataclass(frozen=True)
class CacheCounts:
    """
    What one modelled processor's caches did, in events.

    Attributes:
        processor: Name of the `Processor`.
        l1d_misses: Accesses (one for each line touched) that missed the L1d.
        l2_misses: Those that missed the L2 too; None where there is no L2.
        llc_references: Demand accesses that reached the LLC.
        llc_misses: Those that missed it, and that no other thread's caches hold: lines read from memory.
        llc_writebacks: Dirty lines written to memory.
        labelled: LLC misses at addresses of label 1 and of label 2 (`simulator.label_addresses`).
        coherence_misses: LLC references to a line that a write of another thread took out of this
            thread's caches, and that it did not have since; the latest lines taken from each set
            are remembered, as many as the L2 (or, where there is none, the L1d) has ways.
        llc_prefetches: Lines that the prefetcher fetched; not among the references and misses above.
            None, as the next two, where there is no prefetcher.
        llc_prefetch_misses: Those of them that were read from memory.
        useful_prefetches: Those of them that an access found in the level that they were fetched into.
        curve: Misses of LRU LLCs of other sizes in place of this one, the smallest first, all of
            them larger than the L2; empty if it was not asked for.
    """

    processor: str
    l1d_misses: int
    l2_misses: int | None
    llc_references: int
    llc_misses: int
    llc_writebacks: int
    labelled: tuple[int, int] = (0, 0)
    coherence_misses: int = 0
    llc_prefetches: int | None = None
    llc_prefetch_misses: int | None = None
    useful_prefetches: int | None = None
    curve: tuple[CurvePoint, ...] = ()

    @property
    def miss_rate(self) -> float | None:
        """LLC misses per LLC reference; None without references."""
        return self.llc_misses / self.llc_references if self.llc_references else None


@dataclass(frozen=True)
class SimulatedCounts:
    """
    What the program did, and each modelled processor's `CacheCounts`.

    Attributes:
        instructions: Instructions executed.
        reads: Data accesses that read.
        writes: Data accesses that write, non-temporal ones too.
        non_temporal_stores: Stores past the caches (MOVNT*).
        non_temporal_bytes: Bytes that these wrote.
        caches: One for each processor.
    """

    instructions: int
    reads: int
    writes: int
    non_temporal_stores: int
    non_temporal_bytes: int
    caches: tuple[CacheCounts, ...]

    def memory_bytes(self, cache: CacheCounts) -> int:
        """
        Bytes from and to memory with this cache: misses of accesses and of prefetches, write-backs and
        non-temporal stores.
        """
        lines = cache.llc_misses + (cache.llc_prefetch_misses or 0) + cache.llc_writebacks
        return LINE_BYTES * lines + self.non_temporal_bytes

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SimulatedCounts:
        """Make counts from what `to_dict` gave."""
        caches = tuple(
            CacheCounts(
                **cache
                | {
                    "curve": tuple(CurvePoint(**point) for point in cache["curve"]),
                    "labelled": tuple(cache["labelled"]),
                }
            )
            for cache in fields["caches"]
        )
        return cls(**dict(fields) | {"caches": caches})


def from_words(words: Sequence[int], processors: Sequence[Processor]) -> SimulatedCounts | None:
    """Make counts from the words that the tool's READ gives; None if they are of other processors."""
    n = len(processors)
    plain = COMMON_WORDS + PROCESSOR_WORDS * n
    if len(words) not in (plain, plain + CURVE_WAYS * n):
        return None
    curves = words[plain:]
    caches = []
    for i, processor in enumerate(processors):
        own = words[COMMON_WORDS + PROCESSOR_WORDS * i :]
        prefetches = (None, None, None) if processor.prefetcher == "none" else own[8:11]
        misses = curves[CURVE_WAYS * i : CURVE_WAYS * (i + 1)]
        caches.append(
            CacheCounts(
                processor=processor.name,
                l1d_misses=own[0],
                l2_misses=None if processor.l2 is None else own[1],
                llc_references=own[2],
                llc_misses=own[3],
                llc_writebacks=own[4],
                labelled=(own[5], own[6]),
                coherence_misses=own[7],
                llc_prefetches=prefetches[0],
                llc_prefetch_misses=prefetches[1],
                useful_prefetches=prefetches[2],
                curve=_curve(processor, misses),
            )
        )
    instructions, reads, writes, stores, stored = words[:COMMON_WORDS]
    return SimulatedCounts(instructions, reads, writes, stores, stored, tuple(caches))


def _curve(processor: Processor, misses: Sequence[int]) -> tuple[CurvePoint, ...]:
    way = processor.llc.sets * LINE_BYTES
    least = (processor.l2 or processor.l1d).size
    points = (CurvePoint(way * ways, ways, count) for ways, count in enumerate(misses, start=1))
    return tuple(point for point in points if point.llc_bytes > least)
