"""
How often `compare` is right: false alarms over A/A pairs, and how many slow-downs it finds.

Every process is real: a fresh interpreter that warms up and times a hash of a megabyte by the protocol of
the package. Sides take turns (A B, B A, ...). For the slow-down, B's call hashes so much more; about ten
minutes on one core::

    python benchmarks/compare_power.py
    python benchmarks/compare_power.py --pairs 20 --processes 6 --slow-down 5
"""

import argparse
import datetime as dt
import hashlib
import json
import statistics
import subprocess
import sys
from collections import Counter

from formfn_profile.compare import Comparison, compare
from formfn_profile.measuring.machine import machine
from formfn_profile.measuring.protocol import Protocol, timed, warm_up
from formfn_profile.results import Record

BYTES = 1_000_000
PROTOCOL = Protocol(calls=30, seconds=0.03, warmup_seconds=0.3)


def work(size: int) -> None:
    """Be one process: print the latencies of hashing so many bytes."""
    data = bytes(size)

    def call() -> bytes:
        return hashlib.sha256(data).digest()

    warm_up(call, PROTOCOL)
    sys.stdout.write(json.dumps(timed(call, PROTOCOL)))


def process(size: int, number: int, host: dict[str, object]) -> Record:
    """Run one process and return its record."""
    command = [sys.executable, __file__, "--work", str(size)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Record(
        status="ok",
        run_id=f"process {number}",
        time=dt.datetime.now(dt.timezone.utc).isoformat(),
        launcher="native",
        network="sha256",
        pattern=None,
        depth=0,
        width=0,
        resolution=0,
        batch=1,
        backend="hashlib",
        precision="u8",
        threads=1,
        latency_s=tuple(json.loads(printed)),
        machine=host,
    )


def pair(processes: int, slow_down: float, host: dict[str, object]) -> tuple[list[Record], list[Record]]:
    """Run two sides in turns, B's calls longer by `slow_down`."""
    sizes = (BYTES, round(BYTES * (1 + slow_down)))
    sides: tuple[list[Record], list[Record]] = ([], [])
    for number in range(processes):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            sides[side].append(process(sizes[side], number, host))
    return sides


def told(comparisons: list[Comparison]) -> str:
    """Return the verdicts, the ratios and the smallest effects seen, in words."""
    verdicts = Counter(one.verdict for one in comparisons)
    ratios = sorted(one.ratio for one in comparisons if one.ratio is not None)
    smallest = statistics.median(one.smallest for one in comparisons if one.smallest is not None)
    gate = sum(one.regressed(0.05) for one in comparisons)
    counted = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
    return (
        f"{counted}; over --fail-over 5%: {gate};"
        f" B / A {ratios[0]:.3f} to {ratios[-1]:.3f}; smallest effect seen (median) {smallest:.1%}"
    )


def main() -> None:
    """Run all pairs and print the figures, for fewer processes too."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--processes", type=int, default=10, help="a side (10)")
    parser.add_argument("--slow-down", type=float, default=10.0, metavar="PERCENT")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options.work)
        return
    host = machine()
    kinds = {"A/A": 0.0, f"B slower by {options.slow_down:g}%": options.slow_down / 100}
    pairs: dict[str, list[tuple[list[Record], list[Record]]]] = {kind: [] for kind in kinds}
    for done in range(options.pairs):
        for kind, slow_down in kinds.items():
            pairs[kind].append(pair(options.processes, slow_down, host))
        sys.stderr.write(f"\r{done + 1} of {options.pairs} pairs of each kind")
    sys.stderr.write("\n")
    for processes in sorted({5, 6, options.processes} & set(range(5, options.processes + 1))):
        for kind, each in pairs.items():
            found = [compare(a[:processes], b[:processes])[0] for a, b in each]
            print(f"{processes} processes a side, {options.pairs} pairs {kind}: {told(found)}")


if __name__ == "__main__":
    main()
