"""What the simulator counted as a `Reading`: the same values and table as of hardware counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfcounters.errors import EventUnavailableError
from perfcounters.reading import Count, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perfcounters.simulated import CacheCounts, SimulatedCounts

EVENTS = {
    "instructions": "instructions executed by the program",
    "data-reads": "accesses that read data",
    "data-writes": "accesses that write data, non-temporal ones too",
    "L1d-misses": "accesses that missed the modelled L1d",
    "L2-misses": "accesses that missed the modelled L1d and L2",
    "LLC-references": "demand accesses that reached the modelled LLC",
    "LLC-misses": "demand accesses that missed the modelled LLC: 64 bytes from memory each",
    "coherence-misses": "LLC references to lines that another thread's write took out of L1d and L2",
    "LLC-prefetches": "lines that the modelled prefetcher fetched",
    "LLC-prefetch-misses": "lines that it fetched from memory: 64 bytes each",
    "useful-prefetches": "lines that it fetched and that an access then found there",
    "LLC-writebacks": "dirty lines that the modelled LLC wrote back: 64 bytes to memory each",
    "non-temporal-stores": "stores past the caches (MOVNT*)",
    "memory-bytes": "bytes from and to memory: LLC misses and prefetches, write-backs, non-temporal stores",
}
_PREFETCHER = ("LLC-prefetches", "LLC-prefetch-misses", "useful-prefetches")
_ABSENT = {"L2-misses": "no L2 is modelled"} | dict.fromkeys(_PREFETCHER, "no prefetcher is modelled")


def check(events: Iterable[str]) -> None:
    """
    Check that the simulator counts these events.

    Raises:
        EventUnavailableError: It does not count one.
    """
    for event in events:
        if event not in EVENTS:
            message = f"the simulator does not count {event}; it counts {', '.join(EVENTS)}"
            raise EventUnavailableError(message, event=event)


def reading(
    counts: SimulatedCounts,
    cache: CacheCounts,
    *,
    scope: str = "process",
    events: Iterable[str] | None = None,
) -> Reading:
    """
    Give the counts of the program and of one modelled processor's caches; of all events, without those of
    a prefetcher that it does not have, where none are named.
    """
    if events is None:
        without = _PREFETCHER if cache.llc_prefetches is None else ()
        events = [event for event in EVENTS if event not in without]
    values = {
        "instructions": counts.instructions,
        "data-reads": counts.reads,
        "data-writes": counts.writes,
        "L1d-misses": cache.l1d_misses,
        "L2-misses": cache.l2_misses,
        "LLC-references": cache.llc_references,
        "LLC-misses": cache.llc_misses,
        "coherence-misses": cache.coherence_misses,
        "LLC-prefetches": cache.llc_prefetches,
        "LLC-prefetch-misses": cache.llc_prefetch_misses,
        "useful-prefetches": cache.useful_prefetches,
        "LLC-writebacks": cache.llc_writebacks,
        "non-temporal-stores": counts.non_temporal_stores,
        "memory-bytes": counts.memory_bytes(cache),
    }
    return Reading(_count(event, values[event], cache.processor, scope) for event in events)


def _count(event: str, value: int | None, processor: str, scope: str) -> Count:
    return Count(
        event=event,
        value=value,
        encoding=f"llcsim/{processor}/",
        source="simulated",
        scope=scope,
        time_enabled_ns=0,
        time_running_ns=0,
        scaled=False,
        exclusions=("kernel",),
        threads=1,
        definition=EVENTS[event],
        reason=None if value is not None else _ABSENT[event],
        raw=value,
        pmu="llcsim",
        unit="bytes" if event == "memory-bytes" else "",
    )
