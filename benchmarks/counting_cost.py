"""
What counting around a call adds to it: the same inference of some 2 ms with and without, interleaved.

Run: python benchmarks/counting_cost.py [THREADS ...]
Counts in process scope, as the worker does: hardware events where the machine has them, software ones else.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import perfcounters
from formfn_profile import backends, patterns
from formfn_profile.measure.counting import HARDWARE_EVENTS
from formfn_profile.patterns import PatternSpec
from perfcounters.errors import PerfCountersError

CALLS = 1500
SOFTWARE_EVENTS = ("task-clock", "page-faults", "context-switches")


def events() -> tuple[str, ...]:
    """Hardware events if they open."""
    try:
        with perfcounters.Counters(*HARDWARE_EVENTS, scope="process"):
            return HARDWARE_EVENTS
    except PerfCountersError:
        return SOFTWARE_EVENTS


def main() -> None:
    """Print a line a number of threads."""
    chosen = events()
    spec = PatternSpec("dwbottleneck", depth=10, width=32, resolution=56)
    with tempfile.TemporaryDirectory() as folder:
        chosen_backend = backends.get("openvino-cpu")
        prepared = chosen_backend.prepare(patterns.build(spec), patterns.example_input(spec), Path(folder))
        for threads in [int(word) for word in sys.argv[1:]] or [1, 2]:
            session = chosen_backend.load(prepared, threads=threads)
            for _ in range(50):
                session.infer()
            plain, counted = [], []
            with perfcounters.Counters(*chosen, scope="process") as counters:
                for _ in range(CALLS):
                    started = time.perf_counter()
                    session.infer()
                    plain.append(time.perf_counter() - started)
                    started = time.perf_counter()
                    before = counters.snapshot()
                    session.infer()
                    reading = counters.snapshot() - before
                    counted.append(time.perf_counter() - started)
            one, other = statistics.median(plain), statistics.median(counted)
            print(
                f"{threads} threads asked for, {reading[chosen[0]].threads} counted ({', '.join(chosen)}):"
                f" {1e3 * one:.3f} ms a call, {1e3 * other:.3f} ms counted, {other / one - 1:+.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
