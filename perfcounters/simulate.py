"""Run a command under the cache simulator and count its instructions, cache misses and memory traffic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfcounters import _simulated_reading, _terminal, caches, simulator, stat
from perfcounters.errors import SimulatorStateError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from perfcounters.caches import Processor
    from perfcounters.simulated import CacheCounts, SimulatedCounts

_BY_SIGNAL = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--cache",
        default="host",
        help="what to model, between commas: host, SIZE/WAYS such as 6M/12, or "
        f"{', '.join(caches.named())}, each with :next-line after it for a prefetcher (default: host)",
    )
    parser.add_argument("--curve", action="store_true", help="misses by LLC size too")
    parser.add_argument(
        "--cpuid",
        choices=("model", "valgrind"),
        default="model",
        help="the caches that the command is told by CPUID: of the first --cache, or Valgrind's",
    )
    parser.add_argument("--exact-fma", action="store_true", help="round fused multiply-adds once (slow)")
    parser.add_argument("--fixed-layout", action="store_true", help="the same addresses in each run")
    parser.add_argument("-j", "--json", action="store_true", help="write JSON")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there instead of to stderr")
    parser.add_argument("argv", nargs="+", metavar="COMMAND", help="after --: the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Run the command, write a table for each modelled processor, give the command's exit status."""
    processors = caches.resolve(arguments.cache)
    if arguments.output is not None:
        arguments.output.touch()  # fail before the work, not after
    options = {name: getattr(arguments, name) for name in ("curve", "cpuid", "exact_fma", "fixed_layout")}
    seconds, status, counts = simulate(arguments.argv, processors, **options)
    if arguments.json:
        text = _as_json(arguments.argv, processors, counts, seconds, status)
    else:
        width = stat.width(arguments.output)
        text = _tables(arguments.argv, processors, counts, seconds, status, width)
    if arguments.output is None:
        sys.stderr.write(text)
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return status


def simulate(
    argv: Sequence[str], processors: Sequence[Processor], **options: Any
) -> tuple[float, int, SimulatedCounts]:
    """
    Run a command under the simulator, recorded from its first instruction to its end.

    Processes that it starts run beside it, uncounted.

    Args:
        options: Of `simulator.command`.

    Returns:
        Seconds that it took, its exit status (128 + signal), and the counts.

    Raises:
        SimulatorError: It cannot be simulated.
        SimulatorStateError: It left no counts: there is no such command, or it was killed.
    """
    with tempfile.TemporaryDirectory(prefix="llcsim-") as folder:
        output = Path(folder) / "counts.json"
        full, environment = simulator.command(
            argv, processors, record_from_start=True, output=output, **options
        )
        start = time.perf_counter()
        status = subprocess.run(full, env={**os.environ, **environment}, check=False).returncode
        seconds = time.perf_counter() - start
        if not output.exists():
            message = (
                f"{argv[0]} left no counts (exit status {status}): there is no such command, or it was"
                " killed, or it became another program by exec"
            )
            raise SimulatorStateError(message)
        counts = simulator.load_counts(output, processors)
    return seconds, status if status >= 0 else _BY_SIGNAL - status, counts


def _tables(
    argv: Sequence[str],
    processors: Sequence[Processor],
    counts: SimulatedCounts,
    seconds: float,
    status: int,
    columns: int | None,
) -> str:
    text = ""
    for processor, cache in zip(processors, counts.caches, strict=True):
        reading = _simulated_reading.reading(counts, cache)
        run = stat.Run(seconds, status, reading)
        text += stat.table(argv, [run], {}, columns).rstrip() + " (simulated)\n"
        modelled = f" Simulated caches: {processor.name}, {processor.describe()}"
        text += f"\n{_terminal.wrapped(modelled, columns)}\n{_curve(cache)}"
    return text


def _curve(cache: CacheCounts) -> str:
    if not cache.curve:
        return ""
    points = [f"{point.misses:>20,} misses of an LLC of {caches.format_bytes(point.llc_bytes)}"
              for point in cache.curve]  # fmt: skip
    return "\n" + "\n".join(points) + "\n"


def _as_json(
    argv: Sequence[str],
    processors: Sequence[Processor],
    counts: SimulatedCounts,
    seconds: float,
    status: int,
) -> str:
    return (
        json.dumps(
            {
                "command": list(argv),
                "seconds": seconds,
                "status": status,
                "processors": [processor.to_dict() for processor in processors],
                "counts": counts.to_dict(),
            },
            indent=2,
        )
        + "\n"
    )
