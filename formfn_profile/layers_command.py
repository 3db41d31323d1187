"""
Measure a network layer by layer: FLOPs, time, LLC misses, bytes from and to memory, instructions.

In PyTorch, clock and counters are read where each innermost module begins and ends. OpenVINO and
ONNX Runtime tell their own layers' times; they fuse layers, and nothing can be counted between them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from formfn_profile import running
from formfn_profile.options import Parser, integer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from formfn_profile.plan import Point
    from formfn_profile.preparation import Spec


def parser(prog: str = "python -m formfn_profile layers") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add(
        "model",
        metavar="MODEL",
        help="a pattern, a network by name (resnet50), package.module:function, .pt2, .pt, .onnx, .xml",
    )
    add("--depth", type=integer(1), default=10, metavar="N", help="blocks of a pattern (10)")
    add("--width", type=integer(1), default=64, metavar="C", help="channels of a pattern (64)")
    add("--resolution", type=integer(1), default=112, metavar="R", help="pixels a side of a pattern (112)")
    add("--batch", type=integer(1), default=1, metavar="N", help="images a call (1)")
    running.add_backend_options(made)
    add("--layers", type=integer(1), default=5, metavar="N", help="calls whose layers are measured (5)")
    running.add_model_options(made)
    running.add_options(made, calls=10, at_least=0.3)
    running.add_picture_options(made)
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile layers") -> int:
    """
    Run the command and return its exit status: 0, 1 for a fault or a failed point, 2 for wrong options,
    130 for Ctrl-C.
    """
    options = parser(prog).parse_args(argv)
    return running.guarded(prog, lambda check: _run(options, check))


def _run(options: argparse.Namespace, check: Callable[[], None]) -> int:
    from formfn_profile import by_layer, layer_table, plot
    from formfn_profile.cluster import Here

    here = Here()
    points = _points(options)
    source = running.choose_source(options, here)
    plan = running.make_plan(options, points, source)
    out = options.out or running.fresh("layers", points)
    picture = None if options.no_plot else options.plot or out.with_suffix(".png")
    show = running.Output(
        out,
        picture,
        options.json,
        tables=lambda records: [layer_table.table(each) for each in by_layer.of_records(records)],
        draw=lambda records: plot.layers_figure(by_layer.of_records(records)),
    )
    return running.run(plan, source.why, show, check, here)


def _points(options: argparse.Namespace) -> tuple[Point, ...]:
    from formfn_profile import patterns
    from formfn_profile.patterns import PatternSpec
    from formfn_profile.plan import Point

    if options.model in patterns.PATTERNS:
        spec: Spec = PatternSpec(
            options.model, options.depth, options.width, options.resolution, options.batch
        )
    else:
        (spec,) = running.model_specs(options, [options.model], options.batch)
    return tuple(Point(spec, each, options.threads, options.precision) for each in options.backends)


if __name__ == "__main__":
    sys.exit(main())
