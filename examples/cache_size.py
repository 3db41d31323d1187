"""
How large a last-level cache does a pattern want? Misses against its size, simulated in one run a backend.

    python examples/cache_size.py            a small network: does it run?
    python examples/cache_size.py --quick    four patterns at width 32, under 3 minutes
    python examples/cache_size.py --paper    six patterns at width 64 and 112x112 pixels
"""

import argparse
from pathlib import Path

import formfn_profile as ff

SIZES = {
    "small": {"patterns": ("dwbottleneck",), "depth": 2, "width": 16, "resolution": 32},
    "quick": {
        "patterns": ("standard", "dwseparable", "dwbottleneck", "grouped"),
        "depth": 10,
        "width": 32,
        "resolution": 56,
    },
    "paper": {"patterns": tuple(ff.patterns.PATTERNS), "depth": 10, "width": 64, "resolution": 112},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="small")
    parser.add_argument("--paper", dest="size", action="store_const", const="paper")
    parser.add_argument("--out", type=Path, default=Path("formfn_results"))
    options = parser.parse_args()
    grid = SIZES[options.size]
    points = [
        ff.Point(ff.PatternSpec(pattern, grid["depth"], grid["width"], grid["resolution"]), backend)
        for pattern in grid["patterns"]
        for backend in ("torch", "openvino-cpu")
    ]
    file = options.out / f"cache-size-{options.size}.jsonl"
    short = ff.Protocol(calls=1, seconds=0, warmup_seconds=0)  # of no interest here
    results = ff.measure(points, counters="simulated", cache="paper", curve=True, protocol=short, out=file)
    picture = file.with_suffix(".png")
    ff.plot.save(ff.plot.miss_curve_figure(results), picture)
    print(f"Picture: {picture}\nRecords: {file}")


if __name__ == "__main__":
    main()
