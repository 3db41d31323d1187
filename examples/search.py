"""
Search 1,000 networks for the one with most FLOPs that this machine runs within a budget, and measure it.

    python examples/search.py           50 networks, by a grid of half a minute: does it run?
    python examples/search.py --quick   1,000 networks, by a grid of some minutes
    python examples/search.py --quick --records grid.jsonl   the same, by records that are there
"""

import argparse
import random
import time
from pathlib import Path

import torch
from torch import nn

import formfn_profile as ff

SIZES = {
    "small": {"depths": [1], "widths": [16], "resolutions": [8, 16, 32]},
    "quick": {"depths": [4], "widths": [32, 64, 128], "resolutions": [14, 28, 56, 112]},
}
HOW = {"backends": "openvino-cpu", "counters": "none", "protocol": ff.Protocol(calls=10, seconds=0.2)}


def network(seed: int) -> nn.Module:
    draw, layers, channels = random.Random(seed), [], 3  # noqa: S311 - seeded, not secret  # nosec B311
    for _ in range(4):
        pattern = ff.patterns.get(draw.choice(tuple(ff.patterns.PATTERNS)))
        width = draw.choice((32, 64, 96, 128, 192, 256))
        block = [(each.outputs, each.kernel, 1, each.groups) for each in pattern.convolutions(width)]
        for outputs, kernel, stride, groups in [(width, (3, 3), 2, 1), *(block * draw.randint(1, 6))]:
            same = (kernel[0] // 2, kernel[1] // 2)
            layers.append(nn.Conv2d(channels, outputs, kernel, stride, same, groups=groups, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", dest="size", action="store_const", const="quick", default="small")
    parser.add_argument("--records", type=Path)
    parser.add_argument("--budget-ms", type=float, default=10)
    parser.add_argument("--out", type=Path, default=Path("formfn_results"))
    options = parser.parse_args()
    grid = {"patterns": "all", **SIZES[options.size], "out": options.out / f"search-{options.size}.jsonl"}
    advice = ff.advise(options.records or ff.study(**grid, **HOW))
    begun = time.perf_counter()
    with torch.device("meta"):  # shapes alone: no weights are made, nothing is computed
        nets = [network(seed) for seed in range(1000 if options.size == "quick" else 50)]
    found = advice.rank(nets, options.budget_ms / 1e3, inputs="1x3x112x112", backend="openvino-cpu")
    print(f"{found[:5]}\nSearched {len(nets)} in {time.perf_counter() - begun:.0f} s")
    best = network(nets.index(found[0].candidate))
    print(ff.measure(best, "1x3x112x112", name="best", **HOW, out=options.out / "search-best.jsonl"))


if __name__ == "__main__":
    main()
