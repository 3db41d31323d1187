"""
llcsim against Callgrind on the same calls: instructions, data misses and seconds.

Run: python benchmarks/simulator_trust.py [PATTERN,PATTERN...] [DEPTH]
Both tools run the same kernels (held to AVX, for Callgrind emulates FMA in C), see the same CPUID, and
model the same two levels: L1d 32 KiB/8-way, LLC 4 MiB/16-way, LRU. Callgrind takes minutes a pattern.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from formfn_profile import backends, patterns
from perfcounters import _perf, caches, simulator

# Of valgrind/callgrind.h.
CALLGRIND_DUMP, CALLGRIND_ZERO, CALLGRIND_START = 0x4354_0000, 0x4354_0001, 0x4354_0004
AVX = {"ONEDNN_MAX_CPU_ISA": "AVX", "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "AVX"}


def child(tool: str, backend: str, prepared: str) -> None:
    """Count one settled call and print it as JSON; Callgrind's counts are in its own file."""
    session = backends.get(backend).load(Path(prepared), threads=1)
    session.infer()
    session.infer()
    if tool == "callgrind":
        _perf.lib.llcsim_request(CALLGRIND_START, 0, 0, 0)
        session.infer()
        _perf.lib.llcsim_request(CALLGRIND_ZERO, 0, 0, 0)
        start = time.perf_counter()
        session.infer()
        print(json.dumps({"seconds": time.perf_counter() - start}))
        _perf.lib.llcsim_request(CALLGRIND_DUMP, 0, 0, 0)
        return
    with simulator.recording():
        session.infer()
        simulator.zero()
        start = time.perf_counter()
        session.infer()
        seconds = time.perf_counter() - start
        counts = simulator.read()
    cache = counts.caches[0]
    print(json.dumps({"seconds": seconds, "instructions": counts.instructions, "reads": counts.reads,
                      "l1d": cache.l1d_misses, "llc": cache.llc_misses,
                      "past": counts.non_temporal_bytes // caches.LINE_BYTES}))  # fmt: skip


def totals(out: Path) -> dict[str, int]:
    """Read Callgrind's dump."""
    text = out.read_text()
    if "LL cache: 4194304 B, 64 B, 16-way associative" not in text:
        raise RuntimeError("Callgrind modelled another LL cache than it was told")
    found = {
        name: re.search(rf"^{name}: (.*)$", text, re.MULTILINE) for name in ("events", "summary", "totals")
    }
    numbers = found["summary"] or found["totals"]
    if found["events"] is None or numbers is None:
        raise RuntimeError(f"{out} has no totals")
    by_name = dict(zip(found["events"][1].split(), map(int, numbers[1].split()), strict=False))
    return {
        "instructions": by_name["Ir"],
        "reads": by_name["Dr"],
        "l1d": by_name["D1mr"] + by_name["D1mw"],
        "llc": by_name["DLmr"] + by_name["DLmw"],
    }


def counted(tool: str, backend: str, prepared: Path, folder: Path) -> dict[str, float]:
    """Run one tool on one network."""
    argv, environment = [sys.executable, __file__, "child", tool, backend, str(prepared)], {}
    if tool == "llcsim":
        argv, environment = simulator.command(argv, caches.resolve("paper", l2=None), cpuid="valgrind")
    else:
        argv = ["valgrind", "-q", "--tool=callgrind", "--cache-sim=yes", "--instr-atstart=no", "--vgdb=no",
                "--D1=32768,8,64", "--LL=4194304,16,64", f"--callgrind-out-file={folder}/out",
                *argv]  # fmt: skip
    environment = {**os.environ, **AVX, "PYTHONHASHSEED": "0", **environment}
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer | (totals(folder / "out.1") if tool == "callgrind" else {})


def main(arguments: list[str]) -> None:
    """Print the table, a line a pattern and backend."""
    names = arguments[0].split(",") if arguments else list(patterns.PATTERNS)
    depth = int(arguments[1]) if arguments[1:] else 10
    print("| pattern | backend | instructions | L1d misses | LLC misses | llcsim | Callgrind | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        spec = patterns.PatternSpec(name, depth)
        model, x = patterns.build(spec), patterns.example_input(spec)
        for backend in ("torch", "openvino-cpu"):
            with tempfile.TemporaryDirectory() as text:
                folder = Path(text)
                prepared = backends.get(backend).prepare(model, x, folder)
                ours = counted("llcsim", backend, prepared, folder)
                theirs = counted("callgrind", backend, prepared, folder)
            ours["llc"] += ours.pop("past")  # Callgrind takes stores past the caches for misses
            parts = [
                f"{ours[key]:,} ({ours[key] / theirs[key] - 1:+.2%})"
                for key in ("instructions", "l1d", "llc")
            ]
            seconds = f"{ours['seconds']:.2f} s | {theirs['seconds']:.2f} s"
            ratio = theirs["seconds"] / ours["seconds"]
            print(
                f"| {name} {depth} | {backend} | {' | '.join(parts)} | {seconds} | {ratio:.1f} |", flush=True
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:5])
    else:
        main(sys.argv[1:])
