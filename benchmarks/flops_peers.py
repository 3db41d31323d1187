"""
How long counting the FLOPs of each named network takes, beside fvcore, interleaved; and what both count.

fvcore counts batch normalisation too; only the work of convolutions and linear layers is compared here.
Run: pip install fvcore; python benchmarks/flops_peers.py [NETWORK ...]
"""

from __future__ import annotations

import logging
import statistics
import sys
import time
from typing import TYPE_CHECKING

import torch

from formfn_profile import flops, networks

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
COUNTED = ("conv", "addmm", "linear", "matmul", "bmm", "einsum")


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Print a line a network: both times, their ratio, both counts."""
    try:
        from fvcore.nn import FlopCountAnalysis
    except ImportError:
        sys.exit("fvcore is not installed: pip install fvcore")
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    for name in sys.argv[1:] or networks.NETWORKS:
        model, x = networks.build(name), networks.example_input(name)

        def fvcore(model: torch.nn.Module = model, x: torch.Tensor = x) -> dict[str, int]:
            analysis = (
                FlopCountAnalysis(model, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            )
            found: dict[str, int] = analysis.by_operator()
            return found

        def ours(model: torch.nn.Module = model, x: torch.Tensor = x) -> int:
            return flops.count(model, x).macs

        pairs = [(seconds(ours), seconds(fvcore)) for _ in range(ROUNDS)]
        ratio = statistics.median(one / other for one, other in pairs)
        theirs = sum(macs for operator, macs in fvcore().items() if operator in COUNTED)
        times = [statistics.median(column) for column in zip(*pairs, strict=True)]
        agree = "the same MACs" if theirs == ours() else f"{ours():,} MACs here, {theirs:,} there"
        print(
            f"{name:16} ours {times[0]:6.2f} s, fvcore {times[1]:6.2f} s, ratio {ratio:.2f}, {agree}",
            flush=True,
        )


if __name__ == "__main__":
    main()
