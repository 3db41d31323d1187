"""
Say which form of network is fast on this machine: predict networks that were not measured.

A small model of latency (a cost for each FLOP by kind of convolution, each byte and each operation) is
fitted on RECORDS of patterns, for each backend, with its errors. For a budget, each pattern's deepest
network is predicted at each width; --model predicts any network; --compare holds the named networks of
RECORDS, which are never fitted on, against what was measured.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile import options as read
from formfn_profile.options import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from formfn_profile.advisor import Advice
    from formfn_profile.cost_model import CostModel
    from formfn_profile.ranking import Comparison, Ranking


def parser(prog: str = "python -m formfn_profile advise") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("records", type=Path, nargs="+", metavar="RECORDS", help="files of records, of one machine")
    add("--backends", type=read.names, metavar="NAME,NAME", help="backends to advise on (all with a model)")
    add("--threads", type=read.integer(1), metavar="N", help="where records are of several")
    add("--precision", metavar="NAME", help="where records are of several")
    add("--budget", type=_milliseconds, metavar="MS", help="milliseconds that a call may take")
    add("--patterns", type=read.names, metavar="NAME[,NAME]", help="patterns to choose among (all)")
    add("--widths", type=read.integers(1), metavar="C,C", help="channels (32,64,96,128,192,256)")
    add("--deepest", type=read.integer(1), default=50, metavar="N", help="the most blocks (50)")
    add("--resolution", type=read.integer(1), default=112, metavar="R", help="pixels a side (112)")
    add("--batch", type=read.integer(1), default=1, metavar="N", help="images a call (1)")
    add(
        "--by",
        choices=("flops", "depth"),
        default="flops",
        help="what comes first, most FLOPs or blocks (flops)",
    )
    add("--top", type=read.integer(1), default=10, metavar="N", help="how many to show of each backend (10)")
    add("--model", metavar="MODEL", help="predict this network: resnet50, package.module:function, a file")
    add("--input", action="append", default=[], metavar="SHAPE", help="its inputs, such as 1x3x224x224")
    add(
        "--compare",
        action="store_true",
        help="predict the named networks of RECORDS, too",
    )
    add("--json", action="store_true", help="print as JSON instead of text")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile advise") -> int:
    """Run the command and return its exit status: 0, 1 for a fault, 2 for wrong options."""
    options = parser(prog).parse_args(argv)
    from formfn_profile.advisor import advise
    from formfn_profile.errors import FormfnError
    from formfn_profile.gather import gather
    from perfcounters._terminal import columns, fitted

    try:
        advice = advise(
            gather(options.records),
            backends=options.backends,
            threads=options.threads,
            precision=options.precision,
        )
        rankings = [_forms(advice, backend, options) for backend in advice.models] if options.budget else []
        predictions = (
            {
                backend: advice.predict(options.model, options.input, backend=backend)
                for backend in advice.models
            }
            if options.model
            else {}
        )
        comparisons = advice.compare() if options.compare else []
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if options.json:
        plain = {
            "models": [_model(each) for each in advice.models.values()],
            "rankings": [_ranking(each) for each in rankings],
            "predictions": {backend: asdict(each) for backend, each in predictions.items()},
            "comparisons": [_comparison(each) for each in comparisons],
        }
        print(json.dumps(plain, indent=1, allow_nan=False))
        return 0
    told = [f"{options.model}, {backend}: {each}" for backend, each in predictions.items()]
    width = columns(sys.stdout)
    shown = [each.text(width) for each in (advice, *rankings)]
    compared = [each.text(width) for each in comparisons]
    print("\n\n".join(filter(None, [*shown, fitted(told, width), *compared])))
    return 0


def _forms(advice: Advice, backend: str, options: argparse.Namespace) -> Ranking:
    from formfn_profile.advisor import WIDTHS
    from formfn_profile.patterns import PATTERNS

    names = options.patterns if options.patterns not in (None, ("all",)) else tuple(PATTERNS)
    found = advice.forms(
        options.budget,
        backend=backend,
        names=names,
        widths=options.widths or WIDTHS,
        depths=range(1, options.deepest + 1),
        resolution=options.resolution,
        batch=options.batch,
        key=(lambda each: each.candidate.depth) if options.by == "depth" else None,
    )
    return found[: options.top]


def _model(model: CostModel) -> dict[str, Any]:
    from formfn_profile.cost_model import COSTS

    return {
        "backend": model.backend,
        "precision": model.precision,
        "threads": model.threads,
        "records": model.records,
        "costs": {
            name: {"value": value, "unit": COSTS[name]}
            for name, value in zip(COSTS, model.costs, strict=True)
        },
        "median_error": model.median_error,
        "error": model.error,
        "left_out": {each.of: list(each.values) for each in model.left_out},
    }


def _ranking(found: Ranking) -> dict[str, Any]:
    return {
        "backend": found.backend,
        "budget_s": found.budget_s,
        "candidates": found.of,
        "networks": [
            {**asdict(each.candidate), **asdict(each.prediction), "flops": each.flops} for each in found
        ],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "backend": found.backend,
        "spearman": found.spearman,
        "median_error": found.median_error,
        "flops_spearman": found.flops_spearman,
        "flops_median_error": found.flops_median_error,
        "networks": [
            {"network": name, "measured_s": measured, **asdict(told), "by_flops_s": by_flops}
            for name, measured, told, by_flops in found.rows
        ],
    }


def _milliseconds(text: str) -> float:
    """Read milliseconds above zero, as seconds."""
    if (found := read.seconds(text)) == 0:
        raise ArgumentTypeError("a budget of 0 ms is none")
    return found / 1e3


if __name__ == "__main__":
    sys.exit(main())
