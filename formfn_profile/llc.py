"""
Measure latency, FLOPs, LLC misses and instructions of a design pattern, over its depth, or of any model,
in PyTorch and OpenVINO.

Latency is always timed natively. LLC misses come from the machine's counters where these can be
trusted, else from a simulation of its caches and of the paper's; the output says which. Records (JSON
lines) and the picture are written as well as the table.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from formfn_profile import running
from formfn_profile.options import Parser, integer, integers, names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from formfn_profile.plan import Point
    from formfn_profile.preparation import Spec


def parser(prog: str = "python -m formfn_profile.llc") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--pattern", type=names, metavar="NAME[,NAME]", help="patterns to measure, or all")
    what.add_argument(
        "--model",
        type=names,
        metavar="MODEL[,MODEL]",
        help="models instead: a network by name (resnet50), package.module:function, .pt2, .pt, .onnx, .xml",
    )
    add(
        "--depths",
        type=integers(1),
        default=(10, 20, 30, 40, 50),
        metavar="N,N",
        help="blocks (10,20,30,40,50)",
    )
    add("--width", type=integer(1), default=64, metavar="C", help="channels (64)")
    add("--resolution", type=integer(1), default=112, metavar="R", help="height and width in pixels (112)")
    add("--batch", type=integer(1), default=1, metavar="N", help="images a call (1)")
    add(
        "--expansion",
        type=integer(1),
        metavar="T",
        help="dwbottleneck: widen to T x C instead of narrowing to C/4",
    )
    running.add_backend_options(made)
    running.add_model_options(made)
    running.add_options(made, calls=10, at_least=0.3)
    running.add_picture_options(made)
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile.llc") -> int:
    """
    Run the command and return its exit status: 0, 1 for a fault or a failed point, 2 for wrong options,
    130 for Ctrl-C.
    """
    options = parser(prog).parse_args(argv)
    return running.guarded(prog, lambda check: _run(options, check))


def _run(options: argparse.Namespace, check: Callable[[], None]) -> int:
    from formfn_profile.cluster import Here

    here = Here()
    points = _points(options)
    source = running.choose_source(options, here)
    plan = running.make_plan(options, points, source)
    out = options.out or running.fresh("llc", points)
    drawn = options.pattern and not options.no_plot
    output = running.Output(out, options.plot or out.with_suffix(".png") if drawn else None, options.json)
    return running.run(plan, source.why, output, check, here)


def _points(options: argparse.Namespace) -> tuple[Point, ...]:
    from formfn_profile import grid

    specs: Sequence[Spec]
    if options.pattern:
        specs = grid.pattern_specs(
            options.pattern,
            depths=options.depths,
            widths=(options.width,),
            resolutions=(options.resolution,),
            batches=(options.batch,),
            expansion=options.expansion,
        )
    else:
        specs = running.model_specs(options, options.model, options.batch)
    return grid.points(specs, options.backends, threads=(options.threads,), precisions=(options.precision,))


if __name__ == "__main__":
    sys.exit(main())
