"""
Counting seam: the same call counted by the hardware or by the simulator, each call alone.

Both run inside the worker. Neither shares a call with the clock: reading counters around a call costs
time, and under the simulator time means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.measure.protocol import collection_off
from formfn_profile.results import Count
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import perfcounters
    from perfcounters.simulator import SimulatedCounts

HARDWARE_EVENTS = ("instructions", "LLC-misses", "LLC-references")

_DEFINITIONS = {
    "instructions": "instructions executed by the program",
    "data-reads": "load instructions' accesses",
    "data-writes": "store instructions' accesses",
    "L1d-misses": "accesses that missed the modelled L1d",
    "L2-misses": "accesses that missed the modelled L1d and L2",
    "LLC-references": "demand accesses that missed the modelled L1d and L2",
    "LLC-misses": "demand accesses that missed the modelled LLC too: 64 bytes from memory each",
    "LLC-writebacks": "dirty lines that the modelled LLC wrote back: 64 bytes to memory each",
}


def hardware(call: Callable[[], None], calls: int, events: Sequence[str] = HARDWARE_EVENTS) -> list[Count]:
    """
    Count `events` in each of `calls` calls, in every thread of the process, after one call that is not
    counted.

    The process must have made the call before, so that the threads of its pools exist. An event that
    cannot be opened here is a count without a value, its reason beside it.

    Raises:
        perfcounters.errors.PerfCountersError: None of the events can be opened here; the message says
        why and what to do.
    """
    import perfcounters

    refused = _refusals(events)
    counted = [event for event in events if event not in refused]
    if not counted:
        raise refused[events[0]]
    readings: list[perfcounters.Reading] = []
    counters = perfcounters.Counters(*counted, scope="process")
    counters.open()
    try:
        call()
        with collection_off():
            for _ in range(calls):
                before = counters.snapshot()
                call()
                readings.append(counters.snapshot() - before)
    finally:
        counters.close()
    return [
        Count(event=event, samples=(None,) * calls, source="hardware", reason=str(refused[event]))
        if event in refused
        else _hardware_count(event, readings)
        for event in events
    ]


def simulated(call: Callable[[], None], calls: int) -> list[Count]:
    """
    Count each of `calls` calls in the caches that llcsim models, after one call that brings the caches
    to their steady state.

    The process must have made the call before recording, so that what the library compiles and
    allocates at first use is done.
    """
    from perfcounters import simulator

    reads: list[SimulatedCounts] = []
    with collection_off(), simulator.recording():
        call()
        for _ in range(calls):
            simulator.zero()
            call()
            reads.append(simulator.read())
    return _simulated_counts(reads)


def _refusals(events: Sequence[str]) -> dict[str, PerfCountersError]:
    """Try each event alone: some processors have no event that means LLC references, say."""
    import perfcounters

    refused: dict[str, PerfCountersError] = {}
    for event in events:
        try:
            with perfcounters.Counters(event, scope="thread"):
                pass
        except PerfCountersError as error:
            refused[event] = error
    return refused


def _hardware_count(event: str, readings: Sequence[perfcounters.Reading]) -> Count:
    each = [reading[event] for reading in readings]
    last = each[-1]
    return Count(
        event=event,
        samples=tuple(count.value for count in each),
        source=last.source,
        encoding=last.encoding,
        scope=last.scope,
        exclusions=tuple(last.exclusions),
        scaled=any(count.scaled for count in each),
        threads=last.threads,
        definition=last.definition,
        reason=next((count.reason for count in each if count.reason), None),
    )


def _simulated_counts(reads: Sequence[SimulatedCounts]) -> list[Count]:
    def count(event: str, samples: Sequence[int | None], cache: str | None = None) -> Count:
        return Count(
            event=event,
            samples=tuple(samples),
            source="simulated",
            cache=cache,
            encoding="llcsim",
            scope="process",
            exclusions=("kernel",),
            definition=_DEFINITIONS[event],
            reason="no L2 is modelled" if any(sample is None for sample in samples) else None,
        )

    counts = [
        count("instructions", [read.instructions for read in reads]),
        count("data-reads", [read.reads for read in reads]),
        count("data-writes", [read.writes for read in reads]),
    ]
    for i, cache in enumerate(reads[0].caches):
        each = [read.caches[i] for read in reads]
        counts += [
            count("L1d-misses", [one.l1d_misses for one in each], cache.processor),
            count("L2-misses", [one.l2_misses for one in each], cache.processor),
            count("LLC-references", [one.llc_references for one in each], cache.processor),
            count("LLC-misses", [one.llc_misses for one in each], cache.processor),
            count("LLC-writebacks", [one.llc_writebacks for one in each], cache.processor),
        ]
    return counts
