"""
What counting around a call adds to it: the same inference of some 2 ms with and without, interleaved.

Run: python benchmarks/counting_cost.py [THREADS ...]
Counts in process scope in a process of its own, as the worker does: hardware events where the machine has
them, software ones else. Each thread costs a read before and after.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import perfcounters
from formfn_profile import backends
from formfn_profile.measuring.counting import HARDWARE_EVENTS
from perfcounters.errors import PerfCountersError

CALLS = 800
SOFTWARE_EVENTS = ("task-clock", "page-faults", "context-switches")


def events() -> tuple[str, ...]:
    """Hardware events if they open."""
    try:
        with perfcounters.Counters(*HARDWARE_EVENTS, scope="process"):
            return HARDWARE_EVENTS
    except PerfCountersError:
        return SOFTWARE_EVENTS


def child(prepared: Path, threads: int) -> None:
    """Load the network and print a line."""
    chosen = events()
    session = backends.get("openvino-cpu").load(prepared, threads=threads)
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
            after = counters.snapshot()
            counted.append(time.perf_counter() - started)
    one, other = statistics.median(plain), statistics.median(counted)
    covered = (after - before)[chosen[0]].threads
    print(
        f"{threads} threads asked for, {covered} counted ({', '.join(chosen)}):"
        f" {1e3 * one:.3f} ms a call, {1e3 * other:.3f} ms counted, {other / one - 1:+.2%}",
        flush=True,
    )


def main() -> None:
    """Print a line a number of threads."""
    from formfn_profile import patterns
    from formfn_profile.patterns import PatternSpec

    spec = PatternSpec("dwbottleneck", depth=10, width=64, resolution=96)
    with tempfile.TemporaryDirectory() as folder:
        model, x = patterns.build(spec), patterns.example_input(spec)
        prepared = backends.get("openvino-cpu").prepare(model, x, Path(folder))
        for threads in sys.argv[1:] or ["1", "2"]:
            subprocess.run([sys.executable, __file__, "--child", str(prepared), threads], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
