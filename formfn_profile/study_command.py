"""
Measure a grid of networks, backends, precisions and threads, and go on where an earlier run stopped.

What --out holds already, of the same points on the same machine with the same software, is not measured
again; failed points are. Each record is on disk before the next point starts.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile import running
from formfn_profile.options import Parser, integers, names, settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from formfn_profile.plan import Point
    from formfn_profile.preparation import Spec

PRECISIONS = ("f32", "f16", "bf16")


def parser(prog: str = "python -m formfn_profile study") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("--config", type=Path, metavar="FILE.toml", help="options by their long names; these here come first")
    add("--pattern", type=names, default=(), metavar="NAME[,NAME]", help="patterns to measure, or all")
    add(
        "--model",
        type=names,
        default=(),
        metavar="MODEL[,MODEL]",
        help="networks by name (resnet50), package.module:function, .pt2, .pt, .onnx, .xml",
    )
    add("--depths", type=integers(1), default=(10,), metavar="N,N", help="blocks (10)")
    add("--widths", type=integers(1), default=(64,), metavar="C,C", help="channels (64)")
    add(
        "--resolutions",
        type=integers(1),
        default=(112,),
        metavar="R,R",
        help="height and width in pixels (112)",
    )
    add("--batches", type=integers(1), default=(1,), metavar="N,N", help="images a call (1)")
    running.add_backends_option(made)
    add(
        "--precisions",
        type=names,
        default=("f32",),
        metavar="NAME,NAME",
        help="f32, f16, bf16 (f32)",
    )
    add("--threads", type=integers(1), default=(1,), metavar="N,N", help="threads of each backend (1)")
    running.add_model_options(made)
    running.add_options(made, calls=50, at_least=1.0)
    add(
        "--against",
        metavar="PYTHON",
        help="measure with another interpreter too (other versions), its processes taking turns with ours",
    )
    add("--against-out", type=Path, metavar="FILE.jsonl", help="its records (beside --out)")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile study") -> int:
    """
    Run the command and return its exit status: 0, 1 for a fault or a failed point, 2 for wrong options,
    130 for Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    made = parser(prog)
    config = made.parse_args(words).config
    options = made.parse_args([*settings(made, config), *words]) if config else made.parse_args(words)
    if not options.pattern and not options.model:
        made.error("name what to measure, with --pattern or --model")
    if unknown := [name for name in options.precisions if name not in PRECISIONS]:
        made.error(f"there is no precision {unknown[0]!r}; there is: {', '.join(PRECISIONS)}")
    return running.guarded(prog, lambda check: _run(options, check))


def _run(options: argparse.Namespace, check: Callable[[], None]) -> int:
    from formfn_profile import store

    points = _points(options)
    source = running.choose_source(options)
    plan = running.make_plan(options, points, source)
    out = options.out or running.fresh("study", points)
    against = None
    if options.against:
        against = options.against_out or out.with_name(f"{out.stem}-against{out.suffix}")
    earlier, of_other = (store.load(file) if file and file.exists() else [] for file in (out, against))
    output = running.Output(out, as_json=options.json, against=against)
    return running.run(plan, source.why, output, check, earlier, of_other)


def _points(options: argparse.Namespace) -> tuple[Point, ...]:
    """Every combination; the backends of a network follow one another, so that drift hits all alike."""
    from formfn_profile.plan import Point

    grid: list[tuple[Any, ...]] = list(product(options.threads, options.precisions, options.backends))
    return tuple(
        Point(spec, backend, threads, precision)
        for spec in _specs(options)
        for threads, precision, backend in grid
    )


def _specs(options: argparse.Namespace) -> list[Spec]:
    from formfn_profile import patterns
    from formfn_profile.patterns import PatternSpec

    chosen = tuple(patterns.PATTERNS) if options.pattern == ("all",) else options.pattern
    grid = product(chosen, options.batches, options.resolutions, options.widths, options.depths)
    specs: list[Spec] = [
        PatternSpec(patterns.get(name).name, depth=depth, width=width, resolution=resolution, batch=batch)
        for name, batch, resolution, width, depth in grid
    ]
    batches = (1,) if options.input else options.batches
    return specs + [spec for batch in batches for spec in running.model_specs(options, options.model, batch)]


if __name__ == "__main__":
    sys.exit(main())
