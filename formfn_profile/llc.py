"""
Measure latency, FLOPs, LLC misses and instructions of a design pattern, over its depth, in PyTorch and
OpenVINO.

Latency is always timed natively. LLC misses come from the machine's counters where these can be
trusted, else from a simulation of its caches and of the paper's; the output says which. Records (JSON
lines) and the picture are written as well as the table.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from formfn_profile.options import Parser, integer, integers, names, seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from formfn_profile.results import Record
    from formfn_profile.study import Plan, Point
    from perfcounters.caches import Level, Processor

INTERRUPTED = 130
FOLDER = Path("formfn_results")


@dataclass(frozen=True)
class Source:
    """Where counts come from, and `why`, in a sentence."""

    counters: Literal["hardware", "simulated"]
    why: str
    processors: tuple[Processor, ...] = ()


def parser(prog: str = "python -m formfn_profile.llc") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("--pattern", type=names, required=True, metavar="NAME[,NAME]", help="patterns to measure, or all")
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
    add(
        "--backends",
        type=names,
        default=("torch", "openvino-cpu"),
        metavar="NAME,NAME",
        help="(torch,openvino-cpu)",
    )
    add("--threads", type=integer(1), default=1, metavar="N", help="threads of each backend (1)")
    add(
        "--isa",
        choices=("native", "avx2"),
        default="native",
        help="cap on the instruction set when timed (native)",
    )
    add(
        "--counters",
        choices=("auto", "hardware", "simulated"),
        default="auto",
        help="source of counts (auto)",
    )
    add(
        "--cache",
        metavar="NAME,NAME",
        help="caches to simulate: host, paper, i5-7600k, SIZE/WAYS (host,paper)",
    )
    add("--L2", dest="l2", metavar="SIZE/WAYS", help="an L2 in place of theirs, or none (each one's own)")
    add(
        "--out", type=Path, metavar="FILE.jsonl", help=f"records are appended here (a new file in ./{FOLDER})"
    )
    add("--plot", type=Path, metavar="FILE.png", help="the picture (beside the records)")
    add("--no-plot", action="store_true", help="draw no picture")
    add("--json", action="store_true", help="print the records instead of the table")
    add("--calls", type=integer(1), default=10, metavar="N", help="timed calls, at least (10)")
    add("--seconds", type=seconds, default=0.3, metavar="S", help="time in timed calls, at least (0.3)")
    add("--warmup-seconds", type=seconds, default=3.0, metavar="S", help="longest warm-up (3)")
    add(
        "--counted-calls",
        type=integer(1),
        default=1,
        metavar="N",
        help="counted calls, each counted alone (1)",
    )
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile.llc") -> int:
    """
    Run the command and return its exit status: 0, 1 for a fault or a failed point, 2 for wrong options,
    130 for Ctrl-C.
    """
    options = parser(prog).parse_args(argv)
    from formfn_profile.errors import FormfnError
    from formfn_profile.measure.interrupt import Interrupt
    from perfcounters.errors import PerfCountersError

    try:
        with Interrupt() as interrupt:
            return _run(options, interrupt.check)
    except (FormfnError, PerfCountersError) as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; every finished record is kept", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace, check: Callable[[], None]) -> int:
    from formfn_profile import plots, table
    from formfn_profile.notes import notes
    from formfn_profile.progress import Progress
    from formfn_profile.store import Store
    from formfn_profile.study import Study

    points = _points(options)
    source = _source(options)
    plan = _plan(options, points, source)
    check()
    out = options.out or _fresh(points)
    picture = None if options.no_plot else options.plot or out.with_suffix(".png")
    records: list[Record] = []
    progress = Progress(len(points) * len(plan.phases()))
    with Store(out) as store, contextlib.closing(progress):
        if picture:
            _check_writable(picture)
        if source.counters == "simulated":
            from perfcounters import simulator

            simulator.ensure_built(progress=progress.note)
        for line in filter(None, (store.notice, f"Counts: {source.counters}. {source.why}")):
            progress.note(line)
        with contextlib.closing(Study(plan, progress, check).records()) as measured:
            for record in measured:
                store.append(record)
                records.append(record)
                if options.json:
                    print(json.dumps(record.to_dict()), flush=True)
    text = notes(records, source.why)
    if picture and any(record.status == "ok" for record in records):
        plots.save(plots.depth_figure(records), picture)
        text.append(f"Picture: {picture}")
    text.append(f"Records: {out}")
    if options.json:
        print("\n".join(text), file=sys.stderr)
    else:
        print("\n".join(["", table.render(records), "", *text]))
    return 0 if all(record.status == "ok" for record in records) else 1


def _points(options: argparse.Namespace) -> tuple[Point, ...]:
    """Backends follow one another at each depth: a machine's drift hits all alike."""
    from formfn_profile import backends, patterns
    from formfn_profile.patterns import PatternSpec
    from formfn_profile.study import Point

    chosen = tuple(patterns.PATTERNS) if options.pattern == ("all",) else options.pattern
    for name in options.backends:
        backends.get(name)
    return tuple(
        Point(spec, backend, options.threads)
        for name in chosen
        for depth in options.depths
        for spec in [
            PatternSpec(
                patterns.get(name).name,
                depth=depth,
                width=options.width,
                resolution=options.resolution,
                batch=options.batch,
                expansion=options.expansion,
            )
        ]
        for backend in options.backends
    )


def _source(options: argparse.Namespace) -> Source:
    """Choose where counts come from, once, before anything long begins."""
    from formfn_profile.errors import MeasurementError
    from perfcounters import caches

    modelled = " ".join(
        f"{name} {value}"
        for name, value in (
            ("--cache", None if options.cache == "host" else options.cache),
            ("--L2", options.l2),
        )
        if value
    )
    if modelled:
        if options.counters == "hardware":
            raise MeasurementError(
                f"--counters hardware counts in this machine's own caches, not in those of {modelled}."
                " Leave one of the two out"
            )
        why = f"They were asked for, by {modelled}."
    elif options.counters == "simulated":
        why = "They were asked for, by --counters simulated."
    else:
        from perfcounters import trust

        trusted = trust.llc()
        if trusted.trusted or options.counters == "hardware":
            return Source("hardware", trusted.reason)
        why = trusted.reason
    return Source("simulated", why, caches.resolve(options.cache or "host,paper", l2=_l2(options.l2)))


def _l2(text: str | None) -> Level | Literal["keep"] | None:
    """Read ``--L2``: a cache, none, or (where it was not given) each processor's own."""
    from perfcounters.caches import Level

    if text is None:
        return "keep"
    return None if text == "none" else Level.parse(text)


def _plan(options: argparse.Namespace, points: tuple[Point, ...], source: Source) -> Plan:
    from formfn_profile.measure.protocol import Protocol
    from formfn_profile.study import Plan

    return Plan(
        points=points,
        protocol=Protocol(
            calls=options.calls, seconds=options.seconds, warmup_seconds=options.warmup_seconds
        ),
        counters=source.counters,
        processors=source.processors,
        isa=options.isa,
        counted_calls=options.counted_calls,
    )


def _fresh(points: Sequence[Point]) -> Path:
    """A file that nobody has written yet, named by the patterns and the time."""
    patterns = list(dict.fromkeys(point.spec.pattern for point in points))
    what = "-".join(patterns) if len(patterns) < 3 else f"{len(patterns)}-patterns"
    stem = f"llc-{what}-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}"
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


if __name__ == "__main__":
    sys.exit(main())
