"""
How much slower a call is under llcsim, and under Callgrind, than natively on the same instruction set.

Run: python benchmarks/simulator_slowdown.py [PATTERN,PATTERN... [DEPTH]] [--callgrind]
Prints, for both backends, seconds a call and the ratio to the native call (AVX2, one thread, batch 1,
width 64, 112x112), under llcsim with recording off and on, the median and the worst ratio at the end.
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

from formfn_profile import backends, patterns
from perfcounters import _perf, caches, simulator

CALLGRIND_START = 0x4354_0004  # CALLGRIND_START_INSTRUMENTATION in valgrind/callgrind.h
CALLGRIND = ["valgrind", "-q", "--tool=callgrind", "--cache-sim=yes", "--instr-atstart=no",
             "--callgrind-out-file=/dev/null", "--vgdb=no"]  # fmt: skip


def timed(infer: object, calls: int) -> float:
    """Best of some calls, in seconds."""
    best = float("inf")
    for _ in range(calls):
        start = time.perf_counter()
        infer()  # type: ignore[operator]
        best = min(best, time.perf_counter() - start)
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
            print(off, timed(session.infer, 3))
    elif kind == "callgrind":
        _perf.lib.llcsim_request(CALLGRIND_START, 0, 0, 0)
        session.infer()
        print(timed(session.infer, 1))
    else:
        session.infer()
        print(timed(session.infer, 20))


def measured(kind: str, backend: str, prepared: Path) -> list[float]:
    """Run one kind; seconds a call, for llcsim with recording off and on."""
    argv = [sys.executable, __file__, "child", kind, backend, str(prepared)]
    environment = dict(backends.isa_environment("avx2"))
    if kind == "llcsim":
        argv, more = simulator.command(argv, caches.resolve("paper"))
        environment |= more
    elif kind == "callgrind":
        argv = [*CALLGRIND, *argv]
    done = subprocess.run(
        argv, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


def main(arguments: list[str]) -> None:
    """Print the table."""
    words = [a for a in arguments if not a.startswith("--")]
    names = words[0].split(",") if words else list(patterns.PATTERNS)
    slowdowns = []
    for name in names:
        spec = patterns.PatternSpec(name, int(words[1]) if words[1:] else 10)
        model, x = patterns.build(spec), patterns.example_input(spec)
        for backend in ("torch", "openvino-cpu"):
            with tempfile.TemporaryDirectory() as folder:
                prepared = backends.get(backend).prepare(model, x, Path(folder))
                (native,) = measured("native", backend, prepared)
                off, on = measured("llcsim", backend, prepared)
                rows = {"native": native, "llcsim, off": off, "llcsim, recorded": on}
                if "--callgrind" in arguments:
                    (rows["callgrind"],) = measured("callgrind", backend, prepared)
            slowdowns.append(on / native)
            for kind, seconds in rows.items():
                where = f"{name} {spec.depth} {backend:13} {kind:16}"
                print(f"{where} {seconds:9.4f} s {seconds / native:7.1f}x", flush=True)
            print(f"{name} {spec.depth} {backend:13} recorded / off {on / off:19.2f}x", flush=True)
    print(f"slow-down: median {statistics.median(slowdowns):.1f}, worst {max(slowdowns):.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:5])
    else:
        main(sys.argv[1:])
