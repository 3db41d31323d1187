"""
Two sets of records compared, point by point: what got faster or slower, and how sure that is.

The unit of a time is the process: its calls share one start, one layout of memory and one moment of the
machine, so that a thousand of them say nothing about the next process. Each process of a point is one
number, the median of its calls, and a point needs `comparable.PROCESSES` of them on each side, the sides
taking turns. Counts of the hardware are treated alike. Simulated counts have no such noise: they are
compared as they are, within `TOLERANCE`.
"""

from __future__ import annotations

import functools
import itertools
import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from formfn_profile import comparable
from formfn_profile.shift import CONFIDENCE, shift

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from formfn_profile.comparable import Sides
    from formfn_profile.results import Record

__all__ = ["Comparison", "compare"]

MARGIN = 0.05
LATENCY = "latency"
END_TO_END = "end to end"
TIMES = (LATENCY, END_TO_END)

# By how much a simulated count moves though nothing changed: addresses differ from run to run.
TOLERANCE = {"instructions": 0.005, "LLC-misses": 0.05}
# A difference in misses of so small a share of the lines of parameters and activations is chance: a network
# that nearly fits in the cache misses few of its lines, and which ones the layout decides.
CHANCE = 0.01

Verdict = Literal["faster", "slower", "fewer", "more", "no change", "inconclusive", "not comparable"]

_WORSE = ("slower", "more")
_COUNTED: dict[Verdict, Verdict] = {"slower": "more", "faster": "fewer"}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    One quantity of one point on both sides.

    `quantity` is one of `TIMES`, `a` and `b` then in seconds, or an event, `a` and `b` then counts a
    call: of the hardware (`cache` None), or of the modelled processor `cache`. `ratio` is B / A;
    `interval` contains the true ratio with `confidence`. `smallest` is the smallest relative increase
    that would be seen: where there is an interval with a probability of about 95%, else surely. `why` is
    the reason of "not comparable", `notes` say what differs and doesn't forbid. `broken`: B failed where
    A had worked.
    """

    point: Mapping[str, Any]
    quantity: str
    verdict: Verdict
    cache: str | None = None
    why: str | None = None
    a: float | None = None
    b: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    smallest: float | None = None
    processes: tuple[int, int] = (0, 0)
    broken: bool = False
    notes: tuple[str, ...] = ()

    def regressed(self, limit: float) -> bool:
        """Tell whether B is worse than A by more than `limit` (0.05 is 5%), or broken."""
        if self.broken:
            return True
        return self.verdict in _WORSE and (self.ratio is None or self.ratio > 1 + limit)


def compare(a: Iterable[Record], b: Iterable[Record], margin: float = MARGIN) -> list[Comparison]:
    """
    Compare the points of two sets of records, in order of first appearance.

    A time is "slower" or "faster" where the whole interval lies on that side of 1, has "no change"
    where the interval lies within 1 / (1 + `margin`) and 1 + `margin`, and is "inconclusive" otherwise.
    """
    groups = _groups(a), _groups(b)
    found: list[Comparison] = []
    for key in dict.fromkeys(itertools.chain(*groups)):
        sides = groups[0].get(key, []), groups[1].get(key, [])
        record = (sides[0] or sides[1])[0]
        if not sides[0]:
            found.append(_refused(sides, comparable.missing(record, "A", groups[0])))
        elif not sides[1]:
            found.append(_refused(sides, comparable.missing(record, "B", groups[1])))
        elif record.launcher == "native":
            found += _measured(sides, margin)
        else:
            found += _counts(sides)
    return found


def _groups(records: Iterable[Record]) -> dict[tuple[object, ...], list[Record]]:
    """Return the records of each point, one a process: where a process made two, the later one counts."""
    groups: dict[tuple[object, ...], dict[tuple[str, int], Record]] = {}
    for record in records:
        group = groups.setdefault((*record.key, record.launcher, record.isa_cap), {})
        group[record.run_id, record.process] = record
    return {key: list(group.values()) for key, group in groups.items()}


def _measured(sides: Sides, margin: float) -> list[Comparison]:
    """Compare what scatters from process to process: times, and counts of the hardware."""
    quantities = [LATENCY]
    for quantity in (END_TO_END, *TOLERANCE):
        good = comparable.usable(sides, functools.partial(_median, quantity))
        quantities += [quantity] if all(good) else []
    return [_scattered(sides, quantity, margin) for quantity in quantities]


def _scattered(sides: Sides, quantity: str, margin: float) -> Comparison:
    good = comparable.usable(sides, functools.partial(_median, quantity))
    why = comparable.bar(sides, good, machine=True) or comparable.too_few(good) or comparable.apart(good)
    a, b = ([_median(quantity, record) for record in side] for side in good)
    if not a or not b:
        return _refused(sides, why or "nothing was measured")
    told = _told(sides, good, quantity, a=statistics.median(a), b=statistics.median(b))
    if why:
        ratio = statistics.median(b) / statistics.median(a)
        return Comparison(verdict="not comparable", why=why, ratio=ratio, **told)
    seen = shift(a, b)
    verdict = _verdict(seen.interval, margin)
    return Comparison(
        verdict=verdict if quantity in TIMES else _COUNTED.get(verdict, verdict),
        ratio=seen.ratio,
        interval=seen.interval,
        confidence=CONFIDENCE,
        smallest=seen.smallest,
        **told,
    )


def _median(quantity: str, record: Record) -> float:
    """Return the median of the process, 0 where it has not measured it."""
    if quantity in TIMES:
        samples = record.latency_s if quantity == LATENCY else record.end_to_end_s
        return statistics.median(samples) if samples else 0.0
    count = record.count(quantity)
    return count.value or 0.0 if count is not None and count.source == "hardware" else 0.0


def _verdict(interval: tuple[float, float], margin: float) -> Verdict:
    low, high = interval
    if low > 1:
        return "slower"
    if high < 1:
        return "faster"
    return "no change" if low >= 1 / (1 + margin) and high <= 1 + margin else "inconclusive"


def _counts(sides: Sides) -> list[Comparison]:
    good = comparable.usable(sides, lambda record: record.counts)
    why = comparable.bar(sides, good, machine=False)
    if why:
        return [_refused(sides, why)]
    events = dict.fromkeys(
        (count.event, count.cache)
        for side in good
        for record in side
        for count in record.counts
        if count.event in TOLERANCE
    )
    return [_count(sides, good, event, cache) for event, cache in events]


def _count(sides: Sides, good: Sides, event: str, cache: str | None) -> Comparison:
    a, b = (_value(side, event, cache) for side in good)
    told = _told(sides, good, event, a=a, b=b) | {"cache": cache}
    if a is None or b is None:
        why = f"{'A' if a is None else 'B'} has not counted it"
        return Comparison(verdict="not comparable", why=why, **told)
    if len(_geometries(good, cache)) > 1:
        return Comparison(verdict="not comparable", why=f"other caches stand for {cache}", **told)
    ratio = b / a if a else None
    lines = good[0][0].footprint_lines or 0.0
    chance = CHANCE * lines if event == "LLC-misses" else 0.0
    return Comparison(
        verdict=_count_verdict(a, b, TOLERANCE[event], chance),
        ratio=ratio,
        smallest=TOLERANCE[event],
        **told,
    )


def _count_verdict(a: float, b: float, tolerance: float, chance: float) -> Verdict:
    if abs(b - a) <= chance:
        return "no change"
    if b > a * (1 + tolerance):
        return "more"
    return "fewer" if a > b * (1 + tolerance) else "no change"


def _value(side: Sequence[Record], event: str, cache: str | None) -> float | None:
    counts = (record.count(event, cache) for record in side)
    values = [count.value for count in counts if count is not None and count.value is not None]
    return statistics.median(values) if values else None


def _geometries(good: Sides, cache: str | None) -> set[str]:
    """Return the different caches that the name stands for, as text."""
    caches = (each for side in good for record in side for each in record.caches)
    return {json.dumps(each, sort_keys=True) for each in caches if each["name"] == cache}


def _told(sides: Sides, good: Sides, quantity: str, **values: float | None) -> dict[str, Any]:
    return {
        "point": comparable.point(good[0][0]),
        "quantity": quantity,
        "processes": (len(good[0]), len(good[1])),
        "notes": ()
        if quantity == END_TO_END
        else comparable.notes(sides, good),  # latency's notes are its own
        **values,
    }


def _refused(sides: Sides, why: str) -> Comparison:
    a, b = ([record for record in side if record.status == "ok"] for side in sides)
    failed = any(record.status == "failed" for record in sides[1])
    record = (sides[0] or sides[1])[0]
    return Comparison(
        point=comparable.point(record),
        quantity=LATENCY if record.launcher == "native" else "counts",
        verdict="not comparable",
        why=why,
        processes=(len(a), len(b)),
        broken=bool(a and failed and not b),
    )
