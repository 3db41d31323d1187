"""
Counting seam: the same call counted by the hardware or by the simulator, each call alone.

Both run inside the worker. Neither shares a call with the clock: reading counters around a call costs
time, and under the simulator time means nothing.
"""

from __future__ import annotations

import contextlib
import statistics
from typing import TYPE_CHECKING, Literal

from formfn_profile.backends.inputs import Read
from formfn_profile.measuring.protocol import collection_off
from formfn_profile.results import Count
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import perfcounters
    from perfcounters.simulator import SimulatedCounts

HARDWARE_EVENTS = ("instructions", "LLC-misses", "LLC-references")
PACKAGE_EVENTS = ("dram-bytes-read", "dram-bytes-written")
"""What tells the traffic of a GPU that shares the package's memory: everybody's, not this process's alone."""

_DEFINITIONS = {
    "instructions": "instructions executed by the program",
    "data-reads": "load instructions' accesses",
    "data-writes": "store instructions' accesses",
    "non-temporal-stores": "stores past the caches (MOVNT*)",
    "non-temporal-bytes": "bytes that stores past the caches wrote to memory",
    "L1d-misses": "accesses that missed the modelled L1d",
    "L2-misses": "accesses that missed the modelled L1d and L2",
    "LLC-references": "demand accesses that missed the modelled L1d and L2",
    "LLC-misses": "demand accesses that missed the modelled LLC too: 64 bytes from memory each",
    "coherence-misses": "LLC references to lines that another thread's write took out of L1d and L2",
    "LLC-prefetches": "lines that the modelled prefetcher fetched",
    "LLC-prefetch-misses": "lines that it fetched from memory: 64 bytes each",
    "useful-prefetches": "lines that it fetched and that an access then found there",
    "LLC-writebacks": "dirty lines that the modelled LLC wrote back: 64 bytes to memory each",
}


def hardware(
    call: Callable[[], None],
    calls: int,
    events: Sequence[str] = HARDWARE_EVENTS,
    scope: Literal["process", "cpu"] = "process",
) -> list[Count]:
    """
    Count `events` in each of `calls` calls, in every thread of the process (or, with `scope` "cpu", in the
    whole machine), after one call that is not counted.

    The process must have made the call before, so that the threads of its pools exist. An event that
    cannot be opened here is a count without a value, its reason beside it.

    Raises:
        perfcounters.errors.PerfCountersError: None of the events can be opened here; the message says
        why and what to do.
    """
    import perfcounters

    refused = _refusals(events, "thread" if scope == "process" else scope)
    counted = [event for event in events if event not in refused]
    if not counted:
        raise refused[events[0]]
    readings: list[perfcounters.Reading] = []
    counters = perfcounters.Counters(*counted, scope=scope)
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
        _refused_count(event, calls, refused[event], scope)
        if event in refused
        else _hardware_count(event, readings)
        for event in events
    ]


def simulated(call: Callable[[], None], calls: int) -> tuple[list[Count], list[dict[str, object]]]:
    """
    Count each of `calls` calls in the caches that llcsim models, after one call that brings the caches
    to their steady state; and give the misses by LLC size where they were asked for (see `Record.curve`).

    The process must have made the call before recording, so that what the library compiles and
    allocates at first use is done.
    """
    from perfcounters import simulator

    reads: list[SimulatedCounts] = []
    with collection_off(), simulator.recording():
        simulator.zero()  # what these two touch themselves belongs to the steady state
        simulator.read()
        call()
        for _ in range(calls):
            simulator.zero()
            call()
            reads.append(simulator.read())
    return _simulated_counts(reads), _curve(reads)


@contextlib.contextmanager
def reader(source: str | None) -> Iterator[Read]:
    """
    Give what reads the counts of this process so far: from the "hardware", "simulated" (the first modelled
    processor's), or none at all. Simulated, what runs inside is recorded.
    """
    if source is None:
        yield Read(tuple, lambda _: {})
    elif source == "simulated":
        from perfcounters import simulator

        def events_of(words: Sequence[int]) -> dict[str, int]:
            counts = simulator.counts_of(words)
            first = counts.caches[0]
            prefetched = first.llc_prefetch_misses
            return {
                "instructions": counts.instructions,
                "LLC-references": first.llc_references,
                "LLC-misses": first.llc_misses,
                "LLC-writebacks": first.llc_writebacks,
                **({} if prefetched is None else {"LLC-prefetch-misses": prefetched}),
                "non-temporal-bytes": counts.non_temporal_bytes,
                "LLC-misses-weights": first.labelled[0],
                "LLC-misses-activations": first.labelled[1],
            }

        with simulator.recording():
            yield Read(simulator.word_reader(), events_of, simulator.label_addresses)
    else:
        import perfcounters

        refused = _refusals(HARDWARE_EVENTS, "thread")
        counted = [event for event in HARDWARE_EVENTS if event not in refused]
        if not counted:
            raise refused[HARDWARE_EVENTS[0]]
        with perfcounters.Counters(*counted, scope="process") as counters:
            start = counters.snapshot()

            def values() -> tuple[int, ...]:
                since = counters.snapshot() - start
                return tuple(since[event].value or 0 for event in counted)

            yield Read(values, lambda numbers: dict(zip(counted, numbers, strict=True)))


def package(call: Callable[[], None], calls: int) -> list[Count]:
    """
    Count the whole package's memory traffic in each of `calls` calls: a GPU's is in it, and so is everybody
    else's. Where it cannot be counted, the counts are absent and say why.
    """
    refused = _refusals(PACKAGE_EVENTS, "cpu")
    if len(refused) == len(PACKAGE_EVENTS):
        return [_refused_count(event, calls, refused[event], "cpu") for event in PACKAGE_EVENTS]
    return hardware(call, calls, PACKAGE_EVENTS, "cpu")


def _refused_count(event: str, calls: int, error: PerfCountersError, scope: str) -> Count:
    return Count(event=event, samples=(None,) * calls, source="hardware", scope=scope, reason=str(error))


def _refusals(events: Sequence[str], scope: Literal["thread", "cpu"]) -> dict[str, PerfCountersError]:
    """Try each event alone: some processors have no event that means LLC references, say."""
    import perfcounters

    refused: dict[str, PerfCountersError] = {}
    for event in events:
        try:
            with perfcounters.Counters(event, scope=scope):
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
        validated=last.validated,
        reason=next((count.reason for count in each if count.reason), None),
    )


def _curve(reads: Sequence[SimulatedCounts]) -> list[dict[str, object]]:
    """Medians over the calls, one entry for each cache and size."""
    return [
        {
            "cache": cache.processor,
            "llc_bytes": point.llc_bytes,
            "ways": point.ways,
            "misses": statistics.median(read.caches[i].curve[j].misses for read in reads),
        }
        for i, cache in enumerate(reads[0].caches)
        for j, point in enumerate(cache.curve)
    ]


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
        count("non-temporal-stores", [read.non_temporal_stores for read in reads]),
        count("non-temporal-bytes", [read.non_temporal_bytes for read in reads]),
    ]
    for i, cache in enumerate(reads[0].caches):
        each = [read.caches[i] for read in reads]
        counts += [
            count("L1d-misses", [one.l1d_misses for one in each], cache.processor),
            count("L2-misses", [one.l2_misses for one in each], cache.processor),
            count("LLC-references", [one.llc_references for one in each], cache.processor),
            count("LLC-misses", [one.llc_misses for one in each], cache.processor),
            count("LLC-writebacks", [one.llc_writebacks for one in each], cache.processor),
            count("coherence-misses", [one.coherence_misses for one in each], cache.processor),
        ]
        if cache.llc_prefetches is not None:
            counts += [
                count("LLC-prefetches", [one.llc_prefetches for one in each], cache.processor),
                count("LLC-prefetch-misses", [one.llc_prefetch_misses for one in each], cache.processor),
                count("useful-prefetches", [one.useful_prefetches for one in each], cache.processor),
            ]
    return counts
