"""
Measure a grid of networks, backends, precisions and threads, and go on where an earlier run stopped.

What --out holds already, of the same points on the same machine with the same software, is not measured
again; failed points are. Each record is on disk before the next point starts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile import running
from formfn_profile.options import Parser, integers, names, settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from formfn_profile.cluster import Here
    from formfn_profile.cluster.dispatch import Pool
    from formfn_profile.plan import Point
    from formfn_profile.preparation import Spec


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
        help="f32, f16, bf16, int8 (f32)",
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
    add(
        "--executor",
        metavar="dask://HOST:PORT",
        help="measure on the workers of a Dask cluster: what is simulated on any, what is timed or counted by"
        " hardware on those with the --machine-tag (on this machine)",
    )
    add(
        "--machine-tag",
        metavar="NAME",
        help="the Dask resource of the workers that may time: dask worker ... --resources NAME=1",
    )
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile study") -> int:
    """
    Run the command and return its exit status: 0, 1 for a fault or a failed point, 2 for wrong options,
    130 for Ctrl-C.
    """
    from formfn_profile.grid import PRECISIONS

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
    from formfn_profile import cluster

    with cluster.opened(options.executor, options.machine_tag, check=check) as where:
        return _study(options, where, check)


def _study(options: argparse.Namespace, where: Here | Pool, check: Callable[[], None]) -> int:
    from formfn_profile import store

    points = _points(options)
    source = running.choose_source(options, where)
    plan = running.make_plan(options, points, source)
    out = options.out or running.fresh("study", points)
    against = None
    if options.against:
        against = options.against_out or out.with_name(f"{out.stem}-against{out.suffix}")
    earlier, of_other = (store.load(file) if file and file.exists() else [] for file in (out, against))
    output = running.Output(out, as_json=options.json, against=against)
    return running.run(plan, source.why, output, check, where, earlier, of_other)


def _points(options: argparse.Namespace) -> tuple[Point, ...]:
    from formfn_profile import grid

    specs: list[Spec] = [
        *grid.pattern_specs(
            options.pattern,
            depths=options.depths,
            widths=options.widths,
            resolutions=options.resolutions,
            batches=options.batches,
        )
    ]
    for batch in (1,) if options.input else options.batches:
        specs += running.model_specs(options, options.model, batch)
    return grid.points(specs, options.backends, threads=options.threads, precisions=options.precisions)


if __name__ == "__main__":
    sys.exit(main())
