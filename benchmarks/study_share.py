"""
Which part of a study's wall time is spent in warm-up and timed calls, and what its records cost in memory.

60 points (six patterns, five widths, two backends) of depth 10, 50 calls and 1 s at least.
Run: python benchmarks/study_share.py [FILE.jsonl]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from formfn_profile import patterns, store
from formfn_profile.execution import Study
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.patterns import PatternSpec
from formfn_profile.plan import Plan, Point
from formfn_profile.progress import Progress

WIDTHS = (32, 48, 64, 80, 96)


def main() -> None:
    """Print the share, and the parent's memory after 20 records and at the end."""
    folder = tempfile.TemporaryDirectory()
    path = Path(sys.argv[1]) if sys.argv[1:] else Path(folder.name) / "study.jsonl"
    points = tuple(
        Point(PatternSpec(pattern, depth=10, width=width), backend)
        for pattern in patterns.PATTERNS
        for width in WIDTHS
        for backend in ("torch", "openvino-cpu")
    )
    calls = {"warm-up": 0.0, "timed": 0.0, "end to end": 0.0}
    early = 0
    started = time.monotonic()
    study = Study(Plan(points, Protocol(calls=50, seconds=1.0), "none"))
    with store.Store(path) as file:
        for number, (_, record) in enumerate(study.records(Progress(len(points))), 1):
            file.append(record)
            calls["warm-up"] += record.first_s + sum(record.warmup_s)
            calls["timed"] += sum(record.latency_s)
            calls["end to end"] += sum(record.end_to_end_s)
            if number == 20:
                early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall = time.monotonic() - started
    late = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = ", ".join(f"{name} {seconds / wall:.1%}" for name, seconds in calls.items())
    print(f"{len(points)} points in {wall:.0f} s: {sum(calls.values()) / wall:.1%} in calls ({told})")
    memory = " and ".join(f"{kib / 1024:.0f} MiB" for kib in (early, late))
    print(f"largest memory of the parent after 20 records and at the end: {memory}")


if __name__ == "__main__":
    main()
