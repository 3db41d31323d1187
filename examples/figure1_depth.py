"""
Figure 1: latency of six design patterns against depth and batch size, in PyTorch and OpenVINO.

    python examples/figure1_depth.py            some seconds: does it run?
    python examples/figure1_depth.py --quick    under 3 minutes
    python examples/figure1_depth.py --paper    the paper's grid, three hours
"""

import argparse
from pathlib import Path

import formfn_profile as ff

HAS_GPU = any(Path("/dev/dri").glob("renderD*"))
BACKENDS = {"torch": "f32", "openvino-cpu": "f32"} | ({"openvino-gpu": "f16"} if HAS_GPU else {})
SMALL, LARGE = {"width": 32, "resolution": 32}, {"width": 64, "resolution": 112}
SIZES = {
    "small": {"patterns": ("dwbottleneck",), "depths": {1: (1, 2), 2: (1, 2)}, **SMALL},
    "quick": {"patterns": tuple(ff.patterns.PATTERNS), "depths": {1: (5, 15), 8: (5, 15)}, **SMALL},
    "paper": {
        "patterns": tuple(ff.patterns.PATTERNS),
        "depths": dict.fromkeys((1, 8, 32), (10, 20, 30, 40, 50)),
        **LARGE,
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
        ff.Point(
            ff.PatternSpec(pattern, depth, grid["width"], grid["resolution"], batch), backend, 1, precision
        )
        for pattern in grid["patterns"]
        for batch, depths in grid["depths"].items()
        for depth in depths
        for backend, precision in BACKENDS.items()
    ]
    file = options.out / f"figure1-{options.size}.jsonl"
    results = ff.measure(points, counters="none", protocol=PROTOCOLS[options.size], out=file)
    picture = file.with_suffix(".png")
    ff.plot.save(ff.plot.latency_figure(results, "depth"), picture)
    print(f"Picture: {picture}\nRecords: {file}")


if __name__ == "__main__":
    main()
