"""
What the measuring commands share: options, the choice of where counts come from, and the run itself, from
points to records on disk and what is printed.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import integer, names, seconds
from perfcounters._command import INTERRUPTED, carry_out
from perfcounters._terminal import columns, wrapped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Sequence

    from matplotlib.figure import Figure

    from formfn_profile.cluster import Here
    from formfn_profile.cluster.dispatch import Dispatch, Pool
    from formfn_profile.execution import Study
    from formfn_profile.plan import Plan, Point
    from formfn_profile.preparation import Spec
    from formfn_profile.results import Record
    from formfn_profile.source import Source
    from formfn_profile.tabular import Table

FOLDER = Path("formfn_results")


@dataclass(frozen=True)
class Output:
    """
    Where records go and what is told: `picture` is what `draw` makes of the records, unless it is None;
    `as_json` prints records instead of what `tables` makes of them. The table of a study and the LLC picture
    by default. `against` is for the records of a plan's other interpreter.
    """

    records: Path
    picture: Path | None = None
    as_json: bool = False
    against: Path | None = None
    tables: Callable[[Sequence[Record]], Sequence[Table]] | None = None
    draw: Callable[[Sequence[Record]], Figure] | None = None


# Long: a list, an entry for each option.
def add_options(parser: argparse.ArgumentParser, *, calls: int, at_least: float) -> None:
    """Add the options of how to measure; `calls` and `at_least` seconds are the defaults of the protocol."""
    add = parser.add_argument
    add(
        "--isa",
        choices=("native", "avx2"),
        default="native",
        help="cap on the instruction set when timed (native)",
    )
    add(
        "--counters",
        choices=("auto", "hardware", "simulated", "none"),
        default="auto",
        help="source of counts (auto)",
    )
    add(
        "--cache",
        metavar="NAME,NAME",
        help="caches to simulate: host, paper, i5-7600k, SIZE/WAYS, each with :next-line after it for a "
        "prefetcher or not (host,paper)",
    )
    add("--L2", dest="l2", metavar="SIZE/WAYS", help="an L2 in place of theirs, or none (each one's own)")
    add(
        "--cpuid",
        choices=("model", "valgrind"),
        default="model",
        help="caches that a simulated program is told: the first of --cache, or Valgrind's own (model)",
    )
    add(
        "--fixed-layout",
        action="store_true",
        help="simulate with the same addresses in each run, so that two runs count the same",
    )
    add("--curve", action="store_true", help="simulate LLCs of all sizes of 1 to 64 ways too")
    add("--exact-fma", action="store_true", help="simulate fused multiply-adds exactly, 50 times slower")
    add(
        "--out",
        type=Path,
        metavar="FILE.jsonl",
        help=f"records are appended here (a new file in ./{FOLDER})",
    )
    add("--json", action="store_true", help="print the records instead of the table")
    add("--calls", type=integer(1), default=calls, metavar="N", help=f"timed calls, at least ({calls})")
    add(
        "--seconds",
        type=seconds,
        default=at_least,
        metavar="S",
        help=f"time in timed calls, at least ({at_least:g})",
    )
    add("--warmup-seconds", type=seconds, default=3.0, metavar="S", help="longest warm-up (3)")
    add("--counted-calls", type=integer(1), default=1, metavar="N", help="calls counted, each alone (1)")
    add(
        "--processes",
        type=integer(1),
        default=1,
        metavar="N",
        help="fresh processes in which timing is repeated (1)",
    )
    add(
        "--time-limit",
        type=seconds,
        default=None,
        metavar="S",
        help="seconds after which a point is given up (none)",
    )


def add_backends_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names backends."""
    parser.add_argument(
        "--backends",
        type=names,
        default=("torch", "openvino-cpu"),
        metavar="NAME,NAME",
        help="(torch,openvino-cpu)",
    )


def add_backend_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that measures with one number of threads, in one precision."""
    add_backends_option(parser)
    add = parser.add_argument
    add("--threads", type=integer(1), default=1, metavar="N", help="threads of each backend (1)")
    add(
        "--precision",
        choices=("f32", "f16", "bf16", "int8"),
        default="f32",
        help="of weights and arithmetic (f32)",
    )


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that draws a picture."""
    add = parser.add_argument
    add("--plot", type=Path, metavar="FILE.png", help="the picture (beside the records)")
    add("--no-plot", action="store_true", help="draw no picture")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a model's inputs are and whether its file is trusted."""
    add = parser.add_argument
    add(
        "--input",
        action="append",
        default=[],
        metavar="1x3x224x224[:f32]",
        help="shape and type of a model's input; repeat it for several",
    )
    add(
        "--trust",
        action="store_true",
        help="load .pt2 and pickled models, which may run whatever code is in the file",
    )


def guarded(prog: str, run: Callable[[Callable[[], None]], int]) -> int:
    """
    Call `run` with a function that raises once the user has asked to stop, and return the exit status: its
    own, 1 after one line for what was refused or failed, 130 for Ctrl-C, 141 for a pipe closed by its reader.
    """
    return carry_out(prog, lambda: _interruptible(prog, run))


def _interruptible(prog: str, run: Callable[[Callable[[], None]], int]) -> int:
    from formfn_profile.errors import FormfnError
    from formfn_profile.measuring.interrupt import Interrupt
    from perfcounters.errors import PerfCountersError

    try:
        with Interrupt() as interrupt:
            return run(interrupt.check)
    except (FormfnError, PerfCountersError) as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; every finished record is kept", file=sys.stderr)
        return INTERRUPTED


def model_specs(options: argparse.Namespace, sources: Sequence[str], batch: int = 1) -> list[Spec]:
    """
    Return the models that are named.

    Raises:
        FormfnError: One cannot be had, or its inputs are not told.
    """
    from formfn_profile import models

    inputs = [models.Input.parse(text) for text in options.input]
    return [models.resolve(each, inputs, batch=batch, trust=options.trust) for each in sources]


def choose_source(options: argparse.Namespace, where: Here | Pool) -> Source:
    """Choose where counts come from, as the options want it, `where` points are timed."""
    from formfn_profile import source

    chosen: Source = where.ask(
        source.choose, options.counters, cache=options.cache, l2=options.l2, curve=options.curve
    )
    return chosen


def make_plan(options: argparse.Namespace, points: Sequence[Point], source: Source) -> Plan:
    """Return the plan for `points` as the options want it."""
    from formfn_profile import backends
    from formfn_profile.measuring.launcher import Settings
    from formfn_profile.measuring.protocol import Protocol
    from formfn_profile.plan import Plan

    for point in points:
        backends.get(point.backend)
    return Plan(
        points=tuple(points),
        protocol=Protocol(
            calls=options.calls, seconds=options.seconds, warmup_seconds=options.warmup_seconds
        ),
        counters=source.counters,
        processors=source.processors,
        isa=options.isa,
        counted_calls=options.counted_calls,
        processes=options.processes,
        time_limit=options.time_limit,
        settings=Settings(options.cpuid, options.exact_fma, options.fixed_layout, options.curve),
        against=getattr(options, "against", None),
        layers=getattr(options, "layers", 0),
    )


def run(
    plan: Plan,
    why: str,
    output: Output,
    check: Callable[[], None],
    where: Here | Pool,
    earlier: Collection[Record] = (),
    earlier_against: Collection[Record] = (),
) -> int:
    """
    Carry a plan out `where` points are measured, each record on disk before the next starts, and print what
    was found; `earlier` records of the same file are not measured again, and shown with the new ones. Return
    the exit status: 1 if a point failed.
    """
    from formfn_profile.results import standing

    check()
    study = where.study(plan, [*earlier, *earlier_against], check)
    records = standing([*earlier, *_measure(study, why, output)])
    _tell(records, why, output)
    return 1 if any(record.status == "failed" for record in records) else 0


def _measure(study: Study | Dispatch, why: str, output: Output) -> list[Record]:
    from formfn_profile import recording

    files: dict[str | None, Path] = {None: output.records}
    if study.plan.against and output.against:
        files[study.plan.against] = output.against
    records = []
    with recording.opened(study, files, why) as found:
        if output.picture:
            _check_writable(output.picture)
        for task, record in found:
            if task.phase.interpreter is None:
                records.append(record)
            if output.as_json:
                print(json.dumps(record.to_dict()), flush=True)
    return records


def _tell(records: Sequence[Record], why: str, output: Output) -> None:
    from formfn_profile import table
    from formfn_profile.notes import notes

    text = notes(records, why)
    if output.picture and any(record.status == "ok" for record in records):
        from formfn_profile import plot

        plot.save((output.draw or plot.depth_figure)(records), output.picture)
        text.append(f"Picture: {output.picture}")
        if any(record.curve for record in records):
            curve = output.picture.with_name(f"{output.picture.stem}-curve{output.picture.suffix}")
            plot.save(plot.miss_curve_figure(records), curve)
            text.append(f"LLC misses against the size of the LLC: {curve}")
    text.append(f"Records: {output.records}")
    if output.against:
        text.append(f"Records of the other interpreter: {output.against}")
        text.append(f"Compare: formfn-profile compare {output.records} {output.against}")
    if output.as_json:
        print("\n".join(text), file=sys.stderr)
    else:
        width = columns(sys.stdout)
        shown = "\n\n".join(each.text(width) for each in (output.tables or table.tables)(records))
        print("\n".join(["", shown, "", *(wrapped(line, width) for line in text)]))


def fresh(prefix: str, points: Sequence[Point]) -> Path:
    """Return a path under `FOLDER` that nobody has written yet, named by the networks and the time."""
    networks = list(dict.fromkeys(Path(point.spec.network).stem.replace(":", "-") for point in points))
    what = "-".join(networks) if len(networks) < 3 else f"{len(networks)}-networks"
    stem = f"{prefix}-{what}-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    path = FOLDER / f"{stem}.jsonl"
    number = 1
    while path.exists():
        number += 1
        path = FOLDER / f"{stem}-{number}.jsonl"
    return path


def _check_writable(picture: Path) -> None:
    """Fail before the measurement, not after it."""
    from formfn_profile.errors import ResultsError

    existed = picture.exists()
    try:
        picture.open("ab").close()
    except OSError as error:
        raise ResultsError(
            f"cannot write the picture {picture}: {error.strerror}."
            " Name another with --plot, or say --no-plot"
        ) from None
    if not existed:
        picture.unlink()
