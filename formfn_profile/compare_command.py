"""
Compare two files of records: which points got faster or slower from A to B, and how sure that is.

Each process of a point counts as one measurement of its latency, and a point needs 5 on each side, the
sides taking turns. Simulated counts (LLC misses, instructions) have no noise to average and are compared
as they are.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser, percentage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from formfn_profile.compare import Comparison

_MISSING = "-"
_NAMED = 3
_COLUMNS = ("point", "", "A", "B", "B / A", "interval", "smallest", "processes", "verdict")


def parser(prog: str = "python -m formfn_profile compare") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("a", type=Path, metavar="A.jsonl", help="records before the change")
    add("b", type=Path, metavar="B.jsonl", help="records after it, made in turns with A's")
    add(
        "--fail-over",
        type=percentage,
        metavar="P%",
        help="exit with status 1 if a point is slower, or misses more, by more than this,"
        " failed in B alone, or if nothing could be compared",
    )
    add("--json", action="store_true", help="print the comparisons as JSON instead of the table")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile compare") -> int:
    """
    Run the command and return its exit status: 0, 1 for a regression or records that can't be read, 2
    for wrong options.
    """
    options = parser(prog).parse_args(argv)
    from formfn_profile.errors import FormfnError

    try:
        return _run(options)
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    from formfn_profile.compare import MARGIN, compare
    from formfn_profile.store import load
    from perfcounters._terminal import columns

    _check_two(options.a, options.b)
    limit = options.fail_over
    found = compare(load(options.a), load(options.b), MARGIN if limit is None else limit)
    if options.json:
        print(json.dumps([dataclasses.asdict(each) for each in found], indent=1))
    else:
        print(render(found, MARGIN if limit is None else limit, columns(sys.stdout)))
    if limit is None:
        return 0
    failing = [each for each in found if each.regressed(limit)]
    if failing:
        print(f"Worse by more than {limit:.1%}: {len(failing)} of {len(found)}", file=sys.stderr)
    compared = any(each.verdict != "not comparable" for each in found)
    if not compared:
        print("Nothing could be compared, so nothing is known to be as fast as before", file=sys.stderr)
    return 1 if failing or not compared else 0


def _check_two(a: Path, b: Path) -> None:
    """A file compared with itself would pass any gate."""
    from formfn_profile.errors import ResultsError

    if a.exists() and b.exists() and a.samefile(b):
        raise ResultsError(f"{a} and {b} are the same file. Name the records before and after the change")


def render(found: Sequence[Comparison], margin: float, width: int | None = None) -> str:
    """Return the comparisons as a table, and under it what they mean; folded where wider than `width`."""
    from formfn_profile.tabular import Table
    from perfcounters._terminal import fitted

    if not found:
        return "There are no records to compare."
    shared, names = _labels([each.point for each in found])
    rows = [_cells(each, name) for each, name in zip(found, names, strict=True)]
    table = Table(shared, _COLUMNS, rows, left=("point", "", "verdict"), keys=("point", ""))
    under = fitted(["", *_notes(found, names), *_meaning(found, margin)], width)
    return f"{table.text(width)}\n{under}".lstrip("\n")


def _cells(one: Comparison, name: str) -> list[str]:
    from formfn_profile.compare import TIMES

    timed = one.quantity in TIMES
    a, b = ((_MISSING if value is None else _quantity(value, timed=timed)) for value in (one.a, one.b))
    what = f"{one.quantity}, {one.cache}" if one.cache else one.quantity
    low_high = "" if one.interval is None else f"{one.interval[0]:.3f} - {one.interval[1]:.3f}"
    return [
        name,
        what,
        a,
        b,
        _MISSING if one.ratio is None else f"{one.ratio:.3f}",
        low_high or _MISSING,
        _MISSING if one.smallest is None else f"{one.smallest:.1%}",
        f"{one.processes[0]} + {one.processes[1]}",
        f"{one.verdict}: {one.why}" if one.why else one.verdict,
    ]


def _quantity(value: float, *, timed: bool) -> str:
    if timed:
        return f"{1e3 * value:#.4g}".removesuffix(".") + " ms"
    from formfn_profile.table import quantity

    return quantity(value)


def _labels(points: Sequence[Mapping[str, object]]) -> tuple[str, list[str]]:
    """Return what all points share, and for each one what sets it apart."""
    from formfn_profile.comparable import label

    points = [{**point, "isa_cap": _cap(point)} for point in points]
    keys = dict.fromkeys(key for point in points for key in point)
    same = [key for key in keys if len({str(point.get(key)) for point in points}) == 1]
    apart = [key for key in keys if key not in same] or ["network"]
    same = [key for key in same if key not in apart]
    shared = ", ".join(label(key, points[0][key]) for key in same if points[0][key] is not None)
    return shared, [
        " ".join(label(key, point[key]) for key in apart if point.get(key) is not None) for point in points
    ]


def _cap(point: Mapping[str, object]) -> object:
    return None if point.get("isa_cap") == "native" else point.get("isa_cap")


def _notes(found: Sequence[Comparison], names: Sequence[str]) -> list[str]:
    said: dict[str, list[str]] = {}
    for one, name in zip(found, names, strict=True):
        for note in one.notes:
            said.setdefault(note, []).append(name)
    return [f"{_listed(who, set(names))}: {note}" for note, who in said.items()]


def _listed(names: Sequence[str], everything: set[str]) -> str:
    distinct = list(dict.fromkeys(names))
    if set(distinct) == everything:
        return "All points"
    more = len(distinct) - _NAMED
    return ", ".join(distinct[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _meaning(found: Sequence[Comparison], margin: float) -> list[str]:
    from formfn_profile.compare import TOLERANCE
    from formfn_profile.shift import CONFIDENCE, POWER

    lines = []
    if any(one.interval for one in found):
        lines += [
            "A and B: medians of processes, each one's the median of its calls.",
            f"Interval: contains the true ratio with {CONFIDENCE:.2%}.",
            f"No change: the interval is within {margin:.1%} of 1.",
            f"Smallest: the slow-down that would be seen about {100 * POWER:.0f} times in 100.",
        ]
    if any(one.quantity in TOLERANCE and not one.interval for one in found):
        limits = " or ".join(f"{share:.1%} of {event}" for event, share in TOLERANCE.items())
        lines.append(f"Simulated counts, a call. No change: up to {limits}, or few misses for its size.")
    return lines
