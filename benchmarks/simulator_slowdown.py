"""
How much slower a call is under llcsim, and under Callgrind, than natively on the same instruction set.

Run: python benchmarks/simulator_slowdown.py [PATTERN,PATTERN... [DEPTH]] [--curve] [--callgrind]
Prints, for both backends, seconds a call and the ratio to the native call (AVX2, one thread, batch 1,
width 64, 112x112), under llcsim with recording off and on, the median and the worst ratio at the end.
Each but Callgrind's is the best call of three processes: one may be slower than another in all its calls.
A recorded call ends when the model has seen all of it. Beside the ratio of recorded to off stand those of
processor time, of the program's thread and of the model's: where other programs have the second processor,
the sum of the two is what a recorded call takes. --curve records once more with the whole miss curve.
Callgrind emulates each fused multiply-add in C: reckon with a minute a call.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile import backends, patterns
from perfcounters import _perf, caches, simulator

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 3
CALLGRIND_START = 0x4354_0004  # CALLGRIND_START_INSTRUMENTATION in valgrind/callgrind.h
CALLGRIND = ["valgrind", "-q", "--tool=callgrind", "--cache-sim=yes", "--instr-atstart=no",
             "--callgrind-out-file=/dev/null", "--vgdb=no"]  # fmt: skip


def timed(
    infer: Callable[[], object], calls: int, settle: Callable[[], object] = lambda: None
) -> list[float]:
    """Best of some calls, each alone: seconds, processor seconds of this thread and of all others."""
    best = [float("inf")] * 3
    for _ in range(calls):
        clocks = (time.perf_counter, time.thread_time, time.process_time)
        before = [clock() for clock in clocks]
        infer()
        settle()
        wall, own, all_ = (clock() - start for clock, start in zip(clocks, before, strict=True))
        best = list(map(min, best, (wall, own, all_ - own)))
    return best


def child(kind: str, backend: str, prepared: str) -> None:
    """Load the network and print the seconds of one settled call."""
    session = backends.get(backend).load(Path(prepared), threads=1)
    session.infer()
    if kind == "llcsim":
        session.infer()
        off = timed(session.infer, 3)
        with simulator.recording():
            session.infer()
            on = timed(session.infer, 3, simulator.word_reader())
        print(*off[:2], *on)
    elif kind == "callgrind":
        _perf.lib.llcsim_request(CALLGRIND_START, 0, 0, 0)
        session.infer()
        print(timed(session.infer, 1)[0])
    else:
        session.infer()
        print(timed(session.infer, 20)[0])


def measured(kind: str, backend: str, prepared: Path, *, curve: bool = False) -> list[float]:
    """Run one kind; seconds a call, for llcsim what `timed` gives with recording off and on."""
    argv = [sys.executable, __file__, "child", kind, backend, str(prepared)]
    environment = dict(backends.isa_environment("avx2"))
    if kind == "llcsim":
        argv, more = simulator.command(argv, caches.resolve("paper"), curve=curve)
        environment |= more
    elif kind == "callgrind":
        argv = [*CALLGRIND, *argv]
    done = subprocess.run(
        argv, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


def least(kind: str, backend: str, prepared: Path, *, curve: bool = False) -> list[float]:
    """Run one kind in some processes; the least of each of what `measured` gives."""
    return list(map(min, *(measured(kind, backend, prepared, curve=curve) for _ in range(PROCESSES))))


def main(arguments: list[str]) -> None:
    """Print the table."""
    words = [a for a in arguments if not a.startswith("--")]
    names = words[0].split(",") if words else list(patterns.PATTERNS)
    slowdowns, ratios, curves = [], [], []
    for name in names:
        spec = patterns.PatternSpec(name, int(words[1]) if words[1:] else 10)
        model, x = patterns.build(spec), patterns.example_input(spec)
        for backend in ("torch", "openvino-cpu"):
            with tempfile.TemporaryDirectory() as folder:
                prepared = backends.get(backend).prepare(model, x, Path(folder))
                (native,) = least("native", backend, prepared)
                off, off_own, on, own, others = least("llcsim", backend, prepared)
                rows = {"native": native, "llcsim, off": off, "llcsim, recorded": on}
                if "--curve" in arguments:
                    rows["llcsim, curve"] = least("llcsim", backend, prepared, curve=True)[2]
                    curves.append(rows["llcsim, curve"] / on)
                if "--callgrind" in arguments:
                    (rows["callgrind"],) = measured("callgrind", backend, prepared)
            slowdowns.append(on / native)
            ratios.append(on / off)
            for kind, seconds in rows.items():
                where = f"{name} {spec.depth} {backend:13} {kind:16}"
                print(f"{where} {seconds:9.4f} s {seconds / native:7.1f}x", flush=True)
            parts = f"program {own / off_own:.2f}x, model {others / off_own:.2f}x"
            print(f"{name} {spec.depth} {backend:13} recorded / off {on / off:19.2f}x  ({parts})", flush=True)
    print(f"slow-down: median {statistics.median(slowdowns):.1f}, worst {max(slowdowns):.1f}")
    print(f"recorded / off: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")
    if curves:
        print(f"with the curve / without: median {statistics.median(curves):.2f}, worst {max(curves):.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:5])
    else:
        main(sys.argv[1:])
