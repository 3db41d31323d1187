"""
How far simulated counts of the same call differ from run to run.

Run: python benchmarks/simulator_spread.py [PATTERN,PATTERN...] [DEPTH] [RUNS]
Prints, for both backends, what one settled call counts in several runs, each a process of its own, with
addresses as they come and with a fixed layout (width 64, 112x112, batch 1, one thread, the paper's caches):
the median, and the largest difference between two runs in percent of it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from formfn_profile import backends, patterns
from perfcounters import caches, simulator

NAMES = ("instructions", "LLC misses")
BOUNDS = {False: (0.002, 0.05), True: (0.001, 0.001)}  # by fixed layout


def child(backend: str, prepared: str) -> None:
    """Print the counts of one settled call as JSON."""
    session = backends.get(backend).load(Path(prepared), threads=1)
    session.infer()
    with simulator.recording():
        session.infer()
        read = simulator.word_reader()
        simulator.zero()
        session.infer()
        counts = simulator.counts_of(read())
    print(json.dumps([counts.instructions, counts.caches[0].llc_misses]))


def counted(backend: str, prepared: Path, *, fixed_layout: bool) -> list[int]:
    """Run once; instructions and LLC misses."""
    argv, environment = simulator.command(
        [sys.executable, __file__, "child", backend, str(prepared)],
        caches.resolve("paper"),
        fixed_layout=fixed_layout,
    )
    environment = {**os.environ, **backends.isa_environment("avx2"), **environment}
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: list[int] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main(arguments: list[str]) -> int:
    """Print the table; fails if a spread is above its bound."""
    names = arguments[0].split(",") if arguments else list(patterns.PATTERNS)
    depth, runs = (int(text) for text in (arguments[1:] + ["10", "5"][len(arguments[1:]) :]))
    above = 0
    print(f"| {runs} runs | backend | layout | instructions | spread | LLC misses | spread |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        spec = patterns.PatternSpec(name, depth)
        model, x = patterns.build(spec), patterns.example_input(spec)
        for backend in ("torch", "openvino-cpu"):
            with tempfile.TemporaryDirectory() as folder:
                prepared = backends.get(backend).prepare(model, x, Path(folder))
                for fixed, bounds in BOUNDS.items():
                    found = [counted(backend, prepared, fixed_layout=fixed) for _ in range(runs)]
                    cells = []
                    for values, bound in zip(zip(*found, strict=True), bounds, strict=True):
                        middle = statistics.median(values)
                        spread = (max(values) - min(values)) / middle
                        above += spread > bound
                        cells.append(f"{middle:,.0f} | {spread:.3%}")
                    layout = "fixed" if fixed else "free"
                    print(f"| {name} {depth} | {backend} | {layout} | {' | '.join(cells)} |", flush=True)
    print(f"{above} of these spreads are above {BOUNDS[False]} (free) or {BOUNDS[True]} (fixed)")
    return 1 if above else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:4])
    else:
        sys.exit(main(sys.argv[1:]))
