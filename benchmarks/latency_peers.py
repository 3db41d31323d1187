"""
Our latency beside that of the tools that the field times with, interleaved, as ratios.

OpenVINO: benchmark_app, in its synchronous mode, on the IR that we run. PyTorch: torch.utils.benchmark. Each
round takes one fresh process of each; the ratio of a round is ours over theirs, and the median over the
rounds is what should be within 5% of 1. All of them have glibc keep its memory: how often it goes back to the
system depends on what the process did before, and page faults would make the ratio a matter of chance.

Run: python benchmarks/latency_peers.py [--rounds N] [NETWORK ...]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from formfn_profile import backends, models

KEPT = os.environ | {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
OURS = """
import json, statistics, sys
from pathlib import Path
from formfn_profile import backends
from formfn_profile.measuring.protocol import Protocol, timed, warm_up
session = backends.get(sys.argv[1]).load(Path(sys.argv[2]), threads=1)
protocol = Protocol()
warm_up(session.infer, protocol)
print(json.dumps(statistics.median(timed(session.infer, protocol))))
"""
TIMER = """
import json, sys
from pathlib import Path
import torch
from torch.utils.benchmark import Timer
from formfn_profile import backends
session = backends.get("torch").load(Path(sys.argv[1]), threads=1)
model, inputs = session.model, session._inputs
with torch.inference_mode():
    timer = Timer("model(*inputs)", globals={"model": model, "inputs": inputs}, num_threads=1)
    timer.timeit(10)
    print(json.dumps(timer.blocked_autorange(min_run_time=1.0).median))
"""


def python(code: str, *arguments: object) -> float:
    """Run code in a process of its own and return the seconds it prints."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, env=KEPT, capture_output=True, text=True, check=True)
    seconds: float = json.loads(done.stdout.splitlines()[-1])
    return seconds


def benchmark_app(ir: Path) -> float:
    """Return benchmark_app's median latency in seconds."""
    words = [
        *(
            str(Path(sys.executable).with_name("benchmark_app")),
            "-m",
            str(ir),
            "-d",
            "CPU",
            "-hint",
            "none",
            "-nstreams",
            "1",
            "-nireq",
            "1",
        ),
        *("-api", "sync", "-nthreads", "1", "-infer_precision", "f32", "-t", "2"),
    ]
    done = subprocess.run(words, env=KEPT, capture_output=True, text=True, check=True)
    found = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    if found is None:
        sys.exit(f"benchmark_app gave no median:\n{done.stdout}")
    return float(found[1]) / 1e3


def main() -> None:
    """Print a line a network and library: medians, and the ratio with its range over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("networks", nargs="*", default=["mobilenetv2", "resnet50", "darts"])
    options = parser.parse_args()
    for name in options.networks:
        built = models.build(models.resolve(name))
        with tempfile.TemporaryDirectory() as folder:
            prepared = {}
            for backend in ("torch", "openvino-cpu"):
                path = Path(folder) / backend
                path.mkdir()
                prepared[backend] = backends.get(backend).prepare(built.model, built.inputs, path)
            pairs: dict[str, list[tuple[float, float]]] = {"torch": [], "openvino-cpu": []}
            for _ in range(options.rounds):
                torch = prepared["torch"]
                pairs["torch"].append((python(OURS, "torch", torch), python(TIMER, torch)))
                ir = prepared["openvino-cpu"]
                pairs["openvino-cpu"].append((python(OURS, "openvino-cpu", ir), benchmark_app(ir)))
        for backend, each in pairs.items():
            peer = "torch.utils.benchmark" if backend == "torch" else "benchmark_app"
            ratios = sorted(ours / theirs for ours, theirs in each)
            ours, theirs = (1e3 * statistics.median(column) for column in zip(*each, strict=True))
            print(
                f"{name:12} {backend:13} ours {ours:8.2f} ms, {peer} {theirs:8.2f} ms, ratio"
                f" {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, {len(ratios)} x)",
                flush=True,
            )


if __name__ == "__main__":
    main()
