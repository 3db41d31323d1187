"""Records for other tools: a suite of pyperf, with one run a process, or comma-separated values."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, TextIO

from formfn_profile import comparable
from formfn_profile.errors import ResultsError
from formfn_profile.samples import summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyperf

    from formfn_profile.results import Record

__all__ = ["benchmark_name", "to_pyperf", "write_csv"]

CALLS = 50
"""Calls of a process that pyperf gets: as many as it makes at least, by default."""

_CSV_LATENCY = ("calls", "median_s", "median_low_s", "median_high_s", "p90_s", "p99_s", "cv")


def to_pyperf(records: Iterable[Record], calls: int | None = CALLS) -> pyperf.BenchmarkSuite:
    """
    Return a suite with a benchmark a point and a run a process: its first `calls` timed calls (None: all)
    as values, its warm-up calls as warm-ups.

    pyperf tells whether two benchmarks differ significantly only if they have the same number of values,
    and a process that times for a second makes as many calls as it can: hence the first few.

    What has no latency (simulated counts, failures) is left out. Benchmarks of the same point have the
    same name in every suite, so that `python -m pyperf compare_to` finds them.

    Raises:
        ResultsError: Nothing was timed, or pyperf takes runs of one point for runs of several machines.
    """
    import pyperf

    runs: dict[str, list[pyperf.Run]] = {}
    for record in records:
        if record.status == "ok" and record.latency_s:
            runs.setdefault(benchmark_name(record), []).append(_run(record, calls))
    if not runs:
        raise ResultsError(
            "no record has a latency, and pyperf knows nothing else. Export records that were timed"
        )
    try:
        return pyperf.BenchmarkSuite([pyperf.Benchmark(each) for each in runs.values()])
    except ValueError as error:
        raise ResultsError(
            f"pyperf refuses these records: {error}. Export what was measured on one machine alone"
        ) from None


def benchmark_name(record: Record) -> str:
    """Return all that makes the point, in words."""
    asked = comparable.point(record)
    if asked.get("isa_cap") == "native":
        del asked["isa_cap"]
    return " ".join(comparable.label(key, value) for key, value in asked.items())


def write_csv(records: Sequence[Record], file: TextIO) -> None:
    """
    Write a line a record: what was asked for and what ran, statistics of the latency in seconds and
    the median of each count, named `LLC-misses/paper` with the modelled processor.
    """
    rows = [dict(_row(record)) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _run(record: Record, calls: int | None) -> pyperf.Run:
    import pyperf

    return pyperf.Run(
        record.latency_s[:calls],
        warmups=[(1, value) for value in record.warmup_s],
        metadata=_metadata(record),
        collect_metadata=False,
    )


def _metadata(record: Record) -> dict[str, Any]:
    """What pyperf collected on the machine, under its names, and the columns of the file."""
    collected = record.machine.get("pyperf") or {}
    own = {
        "cpu_model_name": record.machine.get("cpu"),
        "cpu_count": record.machine.get("cpus"),
        **collected,
        "name": benchmark_name(record),
        "unit": "second",
        "date": comparable.when(record).replace(tzinfo=None).isoformat(sep=" "),
        "duration": sum(record.warmup_s) + sum(record.latency_s),
        "load_avg_1min": record.conditions.get("load_before"),
    }
    return {
        key: " ".join(value.split()) if isinstance(value, str) else value
        for key, value in {**_scalars(record.to_dict()), **own}.items()
        if value is not None and str(value).strip()
    }


def _scalars(flat: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flat.items() if isinstance(value, (str, int, float))}


def _row(record: Record) -> Iterator[tuple[str, Any]]:
    yield from _scalars(record.to_dict()).items()
    latency = summarize(record.latency_s)
    if latency:
        low, high = latency.interval or (None, None)
        figures = (latency.n, latency.median, low, high, latency.p90, latency.p99, latency.cv)
        yield from zip(_CSV_LATENCY, figures, strict=True)
    for count in record.counts:
        yield f"{count.event}/{count.cache}" if count.cache else count.event, count.value
