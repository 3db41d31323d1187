"""Patterns in several precisions: the gain over native PyTorch and the LLC misses, a bar a precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile.brief import brief
from formfn_profile.errors import ResultsError
from formfn_profile.notes import as_asked
from formfn_profile.observations import (
    Estimate,
    Observation,
    alike,
    miss_source,
    observations,
    speed_up,
    vector_family,
)
from formfn_profile.plot import style
from formfn_profile.table import digits, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from formfn_profile.results import Record

PRECISIONS = ("f32", "f16", "bf16", "int8")
_WANTED = ("f32", "bf16", "int8")
_HATCHES = {"f16": "...", "bf16": "///", "int8": "xxx"}
_BAR_INCHES = 0.17
_GAP = 0.8


@dataclass(frozen=True)
class _Bar:
    """A point's place from the top, and what is drawn of it."""

    at: float
    point: Observation
    gain: Estimate | None
    misses: float | None

    @property
    def look(self) -> dict[str, Any]:
        """How its bars are drawn."""
        return _look(self.point.point.backend, self.point.point.precision)


def precision_figure(records: Iterable[Record]) -> Figure:
    """
    Draw each pattern's gain over native PyTorch in f32, and its LLC misses, in each precision.

    Raises:
        ResultsError: No pattern was measured in two precisions.
    """
    every = observations(records)
    asked = _fullest(every)
    points = [each for each in asked if each.measured]
    _, cache = miss_source(points)
    bars = _bars(points, every, cache)
    figure, grid = style.frame(
        1,
        2,
        (3.6, max(2.0, _BAR_INCHES * (bars[-1].at + 2))),
        _caption(points, asked, cache),
        sides=(1.2, 0.3),
        top=0.6,
    )
    left, right = grid[0]
    _draw(
        left,
        [(bar, (bar.gain.value, bar.gain.high) if bar.gain else None) for bar in bars],
        lambda gain: f"{digits(gain)}x",
        "no gain",
    )
    counted = [(bar, None if bar.misses is None else (bar.misses, bar.misses)) for bar in bars]
    _draw(right, counted, quantity, "not counted")
    for bar in bars:
        if bar.gain:
            left.hlines(bar.at, bar.gain.low, bar.gain.high, color=style.BLACK, linewidth=1.2)
    left.axvline(1.0, color=style.GREY, linewidth=0.8)
    left.set_xlabel("gain over native PyTorch in f32", fontsize=9)
    right.set_xlabel("LLC misses a call", fontsize=9)
    middles: dict[str, list[float]] = {}
    for bar in bars:
        middles.setdefault(bar.point.point.network, []).append(bar.at)
    left.set_yticks([sum(each) / len(each) for each in middles.values()], list(middles), fontsize=9)
    right.tick_params(labelleft=False)
    handles = _handles(points)
    figure.legend(handles=handles, loc="upper center", ncols=min(5, len(handles)), fontsize=8, frameon=False)
    return figure


def _fullest(every: Sequence[Observation]) -> list[Observation]:
    """
    Return the patterns of one size, of the backends that ran one in two precisions at least: of the sizes
    the one with the most points, those of which nothing could be measured among them.
    """
    groups = [
        [each for each in group if each.point.backend in _of_several(group)]
        for group in alike(each for each in every if each.is_pattern)
    ]
    best = max(groups, key=lambda group: sum(each.measured for each in group), default=[])
    if not best:
        raise ResultsError(
            "nothing to draw by precision: no pattern was measured in two of them. Measure more, such as"
            " --pattern all --precisions f32,bf16,int8"
        )
    return best


def _of_several(group: Sequence[Observation]) -> set[str]:
    lines: dict[tuple[str, str], set[str]] = {}
    for each in group:
        if each.measured:
            lines.setdefault((each.point.network, each.point.backend), set()).add(each.point.precision)
    return {backend for (_, backend), precisions in lines.items() if len(precisions) > 1}


def _bars(points: Sequence[Observation], every: Sequence[Observation], cache: str | None) -> list[_Bar]:
    """Pattern by pattern in order of appearance, a backend's precisions after one another."""
    networks = list(dict.fromkeys(each.point.network for each in points))
    backends = list(style.TITLES)
    ordered = sorted(
        points,
        key=lambda each: (
            networks.index(each.point.network),
            backends.index(each.point.backend) if each.point.backend in backends else len(backends),
            PRECISIONS.index(each.point.precision),
        ),
    )
    return [
        _Bar(
            number + _GAP * networks.index(each.point.network),
            each,
            speed_up(each, every),
            figures.misses if (figures := each.cache(cache)) else None,
        )
        for number, each in enumerate(ordered)
    ]


def _draw(
    axes: Axes,
    bars: Sequence[tuple[_Bar, tuple[float, float] | None]],
    written: Callable[[float], str],
    absent: str,
) -> None:
    """Draw each bar to its value, which is written behind the end of what is drawn there."""
    values = [each[0] for _, each in bars if each and each[0]]
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    style.log_axis(axes.xaxis, low / 1.8, high * max(2.4, (high / low) ** 0.2), 1.0)
    for bar, each in bars:
        value, end = each or (None, None)
        if value:
            axes.barh(bar.at, value, height=0.84, **bar.look)
        axes.annotate(
            absent if value is None else written(value),
            (end or low / 1.8, bar.at),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color="#333333" if value else style.GREY,
            style="normal" if value else "italic",
        )
    axes.set_ylim(bars[-1][0].at + 0.9, -0.9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _caption(points: Sequence[Observation], asked: Sequence[Observation], cache: str | None) -> str:
    point = points[0].point
    timed = [each.best_timed for each in points if each.best_timed]
    families = dict.fromkeys(vector_family(record.isa) or "not known" for record in timed)
    kernels = f" Its kernels: {', '.join(families)}." if timed else ""
    measured = [record for each in points for record in (each.best_timed, each.counted) if record]
    return style.caption(
        points,
        f"Depth {point.depth}, width {point.width}, {point.resolution}x{point.resolution} pixels, batch"
        f" {point.batch}",
        counts=False,
        extra=(
            "Both axes are logarithmic.",
            f"Gain: over the latency of native PyTorch in f32, its 95% interval as a line.{kernels}",
            style.source_of_counts(points),
            *(
                [f"LLC drawn: that of {cache or 'the hardware'}."]
                if any(each.counted for each in points)
                else []
            ),
            *as_asked(measured),
            *_absent(asked),
        ),
    )


def _absent(asked: Sequence[Observation]) -> list[str]:
    """Say why a precision is not there, the first reason of each."""
    said: dict[str, str] = {}
    for each in asked:
        name = style.title(each.point.backend) + f" {each.point.precision}"
        if not each.measured:
            said.setdefault(f"{name}: not measured", _why(each))
        elif not each.timed:
            said.setdefault(f"{name}: not timed", _why(each))
        elif not each.counted and any(other.counted for other in asked):
            said.setdefault(f"{name}: not counted", _why(each))
    for backend in dict.fromkeys(each.point.backend for each in asked):
        named = {each.point.precision for each in asked if each.point.backend == backend}
        for precision in _WANTED:
            if precision not in named:
                said[f"{style.title(backend)} {precision}: not measured"] = ""
    return [f"{what}{why}." for what, why in said.items()]


def _why(one: Observation) -> str:
    return f" ({brief(one.failures[-1].reason)})" if one.failures else ""


def _look(backend: str, precision: str) -> dict[str, Any]:
    from matplotlib.colors import to_rgb

    strength = style.strength(precision)
    paler = tuple(1 - strength * (1 - part) for part in to_rgb(style.colour(backend)))
    return {
        "facecolor": paler,
        "edgecolor": style.colour(backend),
        "hatch": _HATCHES.get(precision),
        "linewidth": 0.6,
    }


def _handles(points: Sequence[Observation]) -> list[object]:
    from matplotlib.patches import Patch

    kinds = {(each.point.backend, each.point.precision) for each in points}
    ordered = [(backend, name) for backend in style.TITLES for name in PRECISIONS if (backend, name) in kinds]
    return [
        Patch(label=f"{style.title(backend)} {name}", **_look(backend, name)) for backend, name in ordered
    ]
