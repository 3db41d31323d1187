"""
Figure 2: latency of six design patterns against width, in PyTorch and OpenVINO.

    python examples/figure2_width.py            some seconds: does it run?
    python examples/figure2_width.py --quick    under 3 minutes
    python examples/figure2_width.py --paper    the paper's grid, half an hour
"""

import argparse
from pathlib import Path

import formfn_profile as ff

HAS_GPU = any(Path("/dev/dri").glob("renderD*"))
BACKENDS = {"torch": "f32", "openvino-cpu": "f32"} | ({"openvino-gpu": "f16"} if HAS_GPU else {})
SIZES = {
    "small": {"patterns": ("dwbottleneck",), "widths": (16, 32), "depth": 1, "resolution": 16},
    "quick": {
        "patterns": tuple(ff.patterns.PATTERNS),
        "widths": (32, 64, 128, 256),
        "depth": 4,
        "resolution": 32,
    },
    "paper": {
        "patterns": tuple(ff.patterns.PATTERNS),
        "widths": (32, 64, 128, 256, 512),
        "depth": 10,
        "resolution": 112,
    },
}
PROTOCOLS = {
    "small": ff.Protocol(calls=6, seconds=0, warmup_seconds=0.1),
    "quick": ff.Protocol(calls=10, seconds=0.2, warmup_seconds=1),
    "paper": ff.Protocol(calls=6, seconds=1, warmup_seconds=5, window=2, end_to_end=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="small")
    parser.add_argument("--paper", dest="size", action="store_const", const="paper")
    parser.add_argument("--out", type=Path, default=Path("formfn_results"))
    options = parser.parse_args()
    grid = SIZES[options.size]
    points = [
        ff.Point(ff.PatternSpec(pattern, grid["depth"], width, grid["resolution"]), backend, 1, precision)
        for pattern in grid["patterns"]
        for width in grid["widths"]
        for backend, precision in BACKENDS.items()
    ]
    file = options.out / f"figure2-{options.size}.jsonl"
    results = ff.measure(points, counters="none", protocol=PROTOCOLS[options.size], out=file)
    picture = file.with_suffix(".png")
    ff.plot.save(ff.plot.latency_figure(results, "width"), picture)
    print(f"Picture: {picture}\nRecords: {file}")


if __name__ == "__main__":
    main()
