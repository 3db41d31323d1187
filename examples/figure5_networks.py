"""
Figure 5: latency of twelve networks in PyTorch and OpenVINO, and what OpenVINO gains.

    python examples/figure5_networks.py            one network: does it run?
    python examples/figure5_networks.py --quick    five networks, under 3 minutes
    python examples/figure5_networks.py --paper    all twelve

Needs pytorchcv (pip install pytorchcv --no-deps).
"""

import argparse
from pathlib import Path

import formfn_profile as ff

SIZES = {
    "small": ("mobilenetv2",),
    "quick": ("resnet18", "resnet50", "mobilenetv2", "darts", "darts-optimized"),
    "paper": tuple(ff.networks.NETWORKS),
}
PROTOCOLS = {
    "small": ff.Protocol(calls=6, seconds=0, warmup_seconds=0.1),
    "quick": ff.Protocol(calls=10, seconds=0.3, warmup_seconds=2),
    "paper": ff.Protocol(calls=20, seconds=1, warmup_seconds=5),
}


def backends(name: str) -> tuple[str, ...]:
    """Every network natively and in OpenVINO; DARTS in more forms of PyTorch."""
    if name == "darts-optimized":
        return (ff.networks.NETWORKS[name].torch_backend,)
    without = ("torch-no-onednn",) if name == "darts" else ()
    return ("torch", *without, "openvino-cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="small")
    parser.add_argument("--paper", dest="size", action="store_const", const="paper")
    parser.add_argument("--out", type=Path, default=Path("formfn_results"))
    options = parser.parse_args()
    names = SIZES[options.size]
    points = [ff.Point(ff.models.resolve(name), backend) for name in names for backend in backends(name)]
    file = options.out / f"figure5-{options.size}.jsonl"
    results = ff.measure(points, counters="none", protocol=PROTOCOLS[options.size], out=file)
    picture = file.with_suffix(".png")
    ff.plot.save(ff.plot.networks_figure(results), picture)
    print(f"Picture: {picture}\nRecords: {file}")


if __name__ == "__main__":
    main()
