"""
Measure a network of your own: a function that makes it and the shape of its input are all it takes.

    python examples/own_model.py

Write the function where Python can import it, as `small` here; a file (.pt, .onnx, .xml; .pt2 with --trust)
does as well.
"""

import argparse
import sys
from pathlib import Path

from torch import nn

import formfn_profile as ff


def small() -> nn.Module:
    """A network of one's own: three convolutions and a classifier."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32),
        nn.Conv2d(32, 64, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--counters", choices=("auto", "simulated", "none"), default="none")
    parser.add_argument("--out", type=Path, default=Path("formfn_results"))
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    file = options.out / "own-model.jsonl"
    short = ff.Protocol(calls=10, seconds=0.1, warmup_seconds=0.5)
    results = ff.measure("own_model:small", "1x3x64x64", counters=options.counters, protocol=short, out=file)
    print(f"{results}\nRecords: {file}")


if __name__ == "__main__":
    main()
