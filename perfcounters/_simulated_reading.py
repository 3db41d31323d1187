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
    "LLC-writebacks": "dirty lines that the modelled LLC wrote back: 64 bytes to memory each",
    "non-temporal-stores": "stores past the caches (MOVNT*)",
    "memory-bytes": "bytes from and to memory: LLC misses, write-backs and non-temporal stores",
}
_NO_L2 = "no L2 is modelled"


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
    events: Iterable[str] = tuple(EVENTS),
) -> Reading:
    """Give the counts of the program and of one modelled processor's caches."""
    values = {
        "instructions": counts.instructions,
        "data-reads": counts.reads,
        "data-writes": counts.writes,
        "L1d-misses": cache.l1d_misses,
        "L2-misses": cache.l2_misses,
        "LLC-references": cache.llc_references,
        "LLC-misses": cache.llc_misses,
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
        reason=None if value is not None else _NO_L2,
        raw=value,
        pmu="llcsim",
        unit="bytes" if event == "memory-bytes" else "",
    )
