"""
How FLOPs, LLC misses, instructions and latency go together on one machine, from its records.

Over depth everything grows in proportion to the number of blocks, so a depth series correlates
perfectly whatever is true: it is labelled trivial and gets no coefficient, only its slopes for a block.
Coefficients are taken over patterns x widths. Misses are those of the machine's own caches (counted by
the hardware, or simulated with the host's geometry), and a timed run is put beside a counted one only
where both ran kernels of the same instruction set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from formfn_profile import association
from formfn_profile.association import VIF_LIMIT, Fit
from formfn_profile.observations import Observation, Sweep, observations, sweeps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from formfn_profile.results import Record

__all__ = ["Association", "Coefficient", "Correlation", "Slopes", "compare_slopes", "correlations", "slopes"]

PAIRS = (
    ("latency", "FLOPs"),
    ("latency", "LLC misses"),
    ("latency", "instructions"),
    ("LLC misses", "FLOPs"),
)

FEWEST = 5
"""Points below which no coefficient is given."""

TRIVIAL = "trivial: over depth all of them grow in proportion to the number of blocks"


@dataclass(frozen=True)
class Coefficient:
    """A coefficient and its 95% interval by a bootstrap over patterns; None where it does not exist."""

    value: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Association:
    """How two quantities go together over `n` points of `patterns` patterns, zeros left out."""

    x: str
    y: str
    n: int
    patterns: int
    spearman: Coefficient
    pearson_log: Coefficient


@dataclass(frozen=True)
class Correlation:
    """
    Everything asked of one backend at one depth, resolution and batch.

    `partial` is that of log latency with log misses given log FLOPs. `fit` is latency = a FLOPs + b
    misses (s a FLOP, s a miss); `refused` says why there is none. `left_out` says what was not used.
    """

    backend: str
    precision: str
    fixed: dict[str, int | None]
    source: str
    points: int
    patterns: tuple[str, ...]
    widths: tuple[int, ...]
    associations: tuple[Association, ...]
    partial: Coefficient
    fit: Fit | None
    refused: str | None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Slopes:
    """
    What one block adds, of one pattern at one width: least squares over `depths`, with an intercept.

    `same_isa` says whether latency was timed with the instruction set of the counted run.
    """

    pattern: str
    backend: str
    precision: str
    width: int | None
    resolution: int | None
    batch: int
    depths: tuple[int, ...]
    latency_s: float | None
    misses: float | None
    flops: float | None
    instructions: float | None
    same_isa: bool
    label: str = TRIVIAL


def correlations(records: Iterable[Record]) -> list[Correlation]:
    """Return the fullest comparison of each backend over patterns x widths."""
    points = [each for each in observations(records) if each.is_pattern]
    found = []
    for backend, precision in dict.fromkeys((each.point.backend, each.point.precision) for each in points):
        here = [each for each in points if (each.point.backend, each.point.precision) == (backend, precision)]
        groups: dict[tuple[tuple[str, int | None], ...], list[Observation]] = {}
        for each in here:
            names = ("depth", "resolution", "batch", "expansion", "threads", "seed")
            groups.setdefault(tuple((name, each.at(name)) for name in names), []).append(each)
        fixed, group = max(groups.items(), key=lambda item: (_usable(item[1]), len(item[1]), _deep(item[0])))
        found.append(_correlation(backend, precision, dict(fixed), group))
    return found


def slopes(records: Iterable[Record]) -> list[Slopes]:
    """Return what a block adds, for each pattern, width and backend that has two depths at least."""
    return [
        _slopes(sweep, members)
        for sweep in sweeps(observations(records), "depth")
        for members in sweep.lines.values()
        if len(members) > 1
    ]


def compare_slopes(found: Sequence[Slopes]) -> dict[str, list[Association]]:
    """
    Correlate what a block adds to latency with its FLOPs and misses, over patterns and widths, for each
    backend, at the batch size and resolution of most of them. Counts stay out of it where the timed run had
    another instruction set.
    """
    result = {}
    for backend in dict.fromkeys(each.backend for each in found):
        alike: dict[tuple[int, int | None], list[Slopes]] = {}
        for each in found:
            if each.backend == backend:
                alike.setdefault((each.batch, each.resolution), []).append(each)
        here = max(alike.values(), key=lambda group: (len(group), -group[0].batch))
        columns = {
            "latency": _column([each.latency_s for each in here]),
            "FLOPs": _column([each.flops for each in here]),
            "LLC misses": _column([each.misses if each.same_isa else None for each in here]),
            "instructions": _column([each.instructions if each.same_isa else None for each in here]),
        }
        result[backend] = [_associate(x, y, columns, [each.pattern for each in here]) for x, y in PAIRS]
    return result


def _correlation(
    backend: str, precision: str, fixed: dict[str, int | None], group: Sequence[Observation]
) -> Correlation:
    used = _used(group)
    patterns = [each.point.network for each in used]
    columns = _columns(used)
    logs = {name: _log(values) for name, values in columns.items()}
    fit, refused = _fit(columns)
    return Correlation(
        backend=backend,
        precision=precision,
        fixed=fixed,
        source=_source(used),
        points=len(used),
        patterns=tuple(dict.fromkeys(patterns)),
        widths=tuple(sorted({width for each in used if (width := each.at("width"))})),
        associations=tuple(_associate(x, y, columns, patterns) for x, y in PAIRS),
        partial=_coefficient(
            association.partial, [logs[name] for name in ("latency", "LLC misses", "FLOPs")], patterns
        ),
        fit=fit,
        refused=refused,
        left_out=_left_out(group),
    )


def _used(group: Sequence[Observation]) -> list[Observation]:
    return [each for each in group if each.like_counted is not None and each.own_cache() is not None]


def _usable(group: Sequence[Observation]) -> int:
    return len(_used(group))


def _deep(fixed: Sequence[tuple[str, int | None]]) -> int:
    return dict(fixed)["depth"] or 0


def _columns(used: Sequence[Observation]) -> dict[str, NDArray[np.float64]]:
    latencies = [each.latency(each.like_counted) for each in used]
    caches = [each.own_cache() for each in used]
    return {
        "latency": _column([found.value if found else None for found in latencies]),
        "FLOPs": _column([each.point.flops for each in used]),
        "LLC misses": _column([_misses(each) for each in used]),
        "instructions": _column([found.instructions if found else None for found in caches]),
    }


def _misses(one: Observation) -> float | None:
    """What misses a network has that fits in the LLC is chance, and correlates with nothing."""
    found = one.own_cache()
    return None if found is None or found.fits else found.misses


def _left_out(group: Sequence[Observation]) -> tuple[str, ...]:
    reasons: dict[str, int] = {}
    for each in group:
        if each.counted is None:
            why = "not counted"
        elif not each.timed:
            why = "not timed"
        elif each.like_counted is None:
            ran = ", ".join(sorted({str(record.isa) for record in each.timed.values()}))
            why = f"timed with {ran} but counted with {each.counted.isa}: time it again with --isa avx2"
        elif (own := each.own_cache()) is None:
            why = "misses of another machine's caches only: count with --cache host"
        elif own.fits:
            why = "its misses: it fits in the LLC, so they are chance"
        else:
            continue
        reasons[why] = reasons.get(why, 0) + 1
    return tuple(f"{why} ({number} point{'s' * (number > 1)})" for why, number in reasons.items())


def _source(used: Sequence[Observation]) -> str:
    if not used:
        return "none"
    return "hardware" if used[0].cache(None) else "simulated with this machine's caches"


def _associate(
    x: str, y: str, columns: dict[str, NDArray[np.float64]], clusters: Sequence[str]
) -> Association:
    one, other = _log(columns[x]), _log(columns[y])
    whole = np.isfinite(one) & np.isfinite(other)
    names = [clusters[i] for i in np.flatnonzero(whole).tolist()]
    arrays = [one[whole], other[whole]]
    return Association(
        x=x,
        y=y,
        n=int(whole.sum()),
        patterns=len(set(names)),
        spearman=_coefficient(association.spearman, arrays, names),
        pearson_log=_coefficient(association.pearson, arrays, names),
    )


def _coefficient(
    statistic: Callable[..., float | None], arrays: Sequence[NDArray[np.float64]], clusters: Sequence[str]
) -> Coefficient:
    whole = np.isfinite(np.vstack(arrays)).all(axis=0)
    kept = [array[whole] for array in arrays]
    names = [clusters[i] for i in np.flatnonzero(whole).tolist()]
    value = statistic(*kept) if len(names) >= FEWEST else None
    if value is None:
        return Coefficient(None)
    return Coefficient(value, association.clustered_interval(statistic, kept, names))


def _fit(columns: dict[str, NDArray[np.float64]]) -> tuple[Fit | None, str | None]:
    arrays = [columns[name] for name in ("latency", "FLOPs", "LLC misses")]
    whole = np.isfinite(np.vstack(arrays)).all(axis=0)
    kept = [array[whole] for array in arrays]
    if len(kept[0]) < FEWEST:
        return None, f"too few points with misses: {len(kept[0])}, needed {FEWEST}"
    vif = association.variance_inflation(kept[1], kept[2])
    if vif > VIF_LIMIT:
        return None, (
            f"FLOPs and LLC misses are collinear here (variance inflation factor {vif:.3g}, limit"
            f" {VIF_LIMIT:g}): latency cannot be shared out between them"
        )
    return association.fit_two(*kept), None


def _slopes(sweep: Sweep, members: Sequence[Observation]) -> Slopes:
    depths = _column([each.at("depth") for each in members])
    same_isa = all(each.like_counted for each in members)
    latencies = [each.latency(each.like_counted) for each in members]
    caches = [each.own_cache() for each in members]

    def a_block(values: Sequence[float | None]) -> float | None:
        column = _column(values)
        whole = np.isfinite(column)
        return association.slope(depths[whole], column[whole])

    point = members[0].point
    return Slopes(
        pattern=point.network,
        backend=point.backend,
        precision=point.precision,
        width=sweep.fixed["width"],
        resolution=sweep.fixed["resolution"],
        batch=point.batch,
        depths=tuple(int(depth) for depth in depths),
        latency_s=a_block([found.value if found else None for found in latencies]),
        misses=a_block([_misses(each) for each in members]),
        flops=a_block([each.point.flops for each in members]),
        instructions=a_block([found.instructions if found else None for found in caches]),
        same_isa=same_isa,
    )


def _column(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero has no logarithm: such a point is left out, as one that was not counted is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(values)
    return np.where(np.isfinite(logs), logs, np.nan)
