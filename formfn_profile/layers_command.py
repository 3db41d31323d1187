"""
Measure a network layer by layer: FLOPs, time, LLC misses, bytes from and to memory, instructions.

In PyTorch, clock and counters are read where each innermost module begins and ends. OpenVINO tells its own
layers' times; it fuses layers, and nothing can be counted between them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from formfn_profile import running
from formfn_profile.options import Parser, integer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from formfn_profile.by_layer import Layer, Layers
    from formfn_profile.plan import Point
    from formfn_profile.preparation import Spec

_MISSING = "-"
_NAME_COLUMNS = 44


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
    from formfn_profile import by_layer, plot

    points = _points(options)
    source = running.choose_source(options)
    plan = running.make_plan(options, points, source)
    out = options.out or running.fresh("layers", points)
    picture = None if options.no_plot else options.plot or out.with_suffix(".png")
    show = running.Output(
        out,
        picture,
        options.json,
        render=lambda records: "\n\n".join(map(render, by_layer.of_records(records))),
        draw=lambda records: plot.layers_figure(by_layer.of_records(records)),
    )
    return running.run(plan, source.why, show, check)


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


def render(measured: Layers) -> str:
    """Return the table of one network's layers, and a line on what their sum leaves out."""
    from formfn_profile.table import digits, quantity

    total = sum(layer.seconds or 0.0 for layer in measured.layers)
    rows = [("layer", "kind", "MFLOPs", "us", "share", "instr.", "LLC misses", "weights", "activ.", "bytes")]
    rows += [
        (
            _short(_name(layer)),
            layer.kind,
            _MISSING if layer.macs is None else digits(2 * layer.macs / 1e6),
            _microseconds(layer),
            _MISSING if layer.seconds is None or not total else f"{layer.seconds / total:.1%}",
            quantity(layer.instructions),
            quantity(layer.misses),
            quantity(layer.weight_misses),
            quantity(layer.activation_misses),
            quantity(layer.memory_bytes),
        )
        for layer in measured.layers
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_cells(row, widths)).rstrip() for row in rows]
    record = measured.record
    head = f"{record.title} on {record.backend}, batch {record.batch}, {record.precision}, medians a call"
    return "\n".join([head, *lines, *_remarks(measured, total)])


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if number < 2 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _microseconds(layer: Layer) -> str:
    """OpenVINO tells nothing finer than a microsecond."""
    from formfn_profile.table import digits

    if layer.seconds is None:
        return _MISSING
    return digits(layer.seconds * 1e6) if layer.seconds else "<1"


def _name(layer: Layer) -> str:
    """What a layer was fused from says more than the library's own word for it."""
    return " + ".join(layer.modules) or layer.name


def _short(name: str) -> str:
    return name if len(name) <= _NAME_COLUMNS else f"...{name[3 - _NAME_COLUMNS :]}"


def _remarks(measured: Layers, total: float) -> list[str]:
    lines = []
    latency = measured.latency_s
    if latency is not None and total:
        lines.append(
            f"The layers take {total * 1e3:.3g} ms together, measured one by one; the network takes"
            f" {latency * 1e3:.3g} ms when nothing is measured inside it."
        )
    charged = [layer for layer in measured.layers if layer.activation_misses is not None]
    if charged:
        lines.append(
            "LLC misses in weights (parameters and buffers) and activations (modules' inputs and outputs) by"
            " address; the rest is scratch memory, weights in a library's own format, and Python."
        )
    if all(layer.misses is None for layer in measured.layers):
        lines.append(
            "LLC misses and instructions of single layers: not counted. "
            + (
                "OpenVINO calls nothing of ours between its layers."
                if measured.record.backend.startswith("openvino")
                else "None were counted in this run, or with other layers."
            )
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
