"""The picture of `formfn-profile llc`: latency and LLC misses against depth, a column a cache."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from formfn_profile.errors import ResultsError
from formfn_profile.plot import style
from formfn_profile.results import Record, Row, pair
from formfn_profile.samples import summarize
from formfn_profile.table import cache_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_INCHES = (5.4, 3.7)
_CAPTION_COLUMNS = 18  # characters an inch at the caption's size


def depth_figure(records: Sequence[Record]) -> Figure:
    """
    Draw latency (solid, left axis, ms) and LLC misses a call (dashed, right axis) against depth, after
    the paper's Figure 3.

    One row of panels a pattern, one column a cache. Axes are shared within a row, so that heights compare.

    Raises:
        ResultsError: No record was measured, so there is nothing to draw.
    """
    from matplotlib.figure import Figure

    rows = [row for row in pair(records) if row.timed or row.counted]
    if not rows:
        raise ResultsError("nothing to draw: no point was measured")
    networks = list(dict.fromkeys(row.point.network for row in rows))
    caches = _caches(rows)
    width, height = _PANEL_INCHES[0] * len(caches) + 0.6, _PANEL_INCHES[1] * len(networks)
    caption = _caption(rows, max(40, int((width - 0.4) * _CAPTION_COLUMNS)))
    below = 0.16 * (caption.count("\n") + 1) + 0.55
    figure = Figure(figsize=(width, height + below + 0.5))
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.85 / width,
        bottom=(below + 0.45) / (height + below + 0.5),
        top=1 - 0.75 / (height + below + 0.5),
        wspace=0.48,
        hspace=0.42,
    )
    grid = figure.subplots(len(networks), len(caches), squeeze=False)
    for line, network in zip(grid, networks, strict=True):
        here = [row for row in rows if row.point.network == network]
        twins = [axes.twinx() for axes in line]
        for axes, twin, cache in zip(line, twins, caches, strict=True):
            _panel(axes, twin, here, cache)
        _share(line, "latency")
        _share(twins, "misses")
        for axes, twin, cache in zip(line, twins, caches, strict=True):
            _below(axes, twin, here, cache)
    _legend(figure, rows)
    figure.text(
        0.02, 0.1 / (height + below + 0.5), caption, fontsize=7.5, va="bottom", ha="left", color="#333333"
    )
    return figure


def _caches(rows: Sequence[Row]) -> list[str | None]:
    found = dict.fromkeys(
        figures.cache for row in rows if row.counted for figures in cache_figures(row.counted)
    )
    return list(found) or [None]


def _series(rows: Sequence[Row]) -> dict[str, list[Row]]:
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(row.point.backend, []).append(row)
    return {backend: sorted(each, key=_depth) for backend, each in series.items()}


def _misses(row: Row, cache: str | None) -> float | None:
    if row.counted is None:
        return None
    return next((each.misses for each in cache_figures(row.counted) if each.cache == cache), None)


def _style(backend: str) -> dict[str, Any]:
    return {
        "color": style.colour(backend),
        "marker": style.MARKERS.get(backend, "^"),
        "markersize": 5,
        "linewidth": 1.8,
    }


def _panel(axes: Axes, twin: Axes, rows: Sequence[Row], cache: str | None) -> None:
    for backend, each in _series(rows).items():
        look = _style(backend)
        timed = [(_depth(row), summarize(row.timed.latency_s)) for row in each if row.timed]
        points = [(depth, summary) for depth, summary in timed if summary]
        axes.plot([d for d, _ in points], [s.median * 1e3 for _, s in points], **look)
        spans = [(d, s.interval) for d, s in points if s.interval]
        axes.vlines(
            [d for d, _ in spans],
            [low * 1e3 for _, (low, _) in spans],
            [high * 1e3 for _, (_, high) in spans],
            color=look["color"],
            linewidth=4,
            alpha=0.35,
        )
        counted = [(_depth(row), misses) for row in each if (misses := _misses(row, cache))]
        hollow = look | {"markerfacecolor": "white", "linestyle": (0, (4, 2))}
        twin.plot([d for d, _ in counted], [m for _, m in counted], **hollow)
    for each_axes in (axes, twin):
        each_axes.set_xscale("log")
        each_axes.set_yscale("log")
    depths = sorted({_depth(row) for row in rows})
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.set_xticks([], minor=True)
    if len(depths) > 1:
        axes.set_xlim(depths[0] / 1.12, depths[-1] * 1.12)
    axes.set_xlabel("depth, blocks")
    axes.set_ylabel("latency, ms (solid)")
    twin.set_ylabel("LLC misses a call (dashed)")
    axes.grid(which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(f"{rows[0].point.network}, {_cache_title(rows, cache)}", fontsize=10)


def _cache_title(rows: Sequence[Row], cache: str | None) -> str:
    for row in rows:
        for described in row.counted.caches if row.counted else ():
            if described["name"] == cache:
                return f"LLC of {cache}: {described['llc_bytes'] / 2**20:g} MiB"
    return "this machine's LLC" if any(row.counted for row in rows) else "LLC misses not counted"


def _share(panels: Sequence[Axes], what: str) -> None:
    """Give all panels of a row one range, widened to whole steps so that few ticks are never lost."""
    import numpy as np

    spans = [axes.dataLim for axes in panels if any(np.size(line.get_xdata()) for line in axes.lines)]
    lows = [span.ymin for span in spans if span.ymin > 0]
    highs = [span.ymax for span in spans if span.ymax > 0]
    low, high = (min(lows), max(highs)) if lows and highs else (1.0, 10.0)
    room = 1.25 if what == "latency" else 1.6
    for axes in panels:
        axes.set_ylim(low / room, high * room)
        _ticks(axes)


def _ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axes.get_ylim()
    steps = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _below(axes: Axes, twin: Axes, rows: Sequence[Row], cache: str | None) -> None:
    """Draw what is zero as a marker on the lower edge, which points down: the value lies below the axis."""
    del axes
    floor = twin.get_ylim()[0]
    for place, (backend, each) in enumerate(_series(rows).items()):
        zeros = [_depth(row) for row in each if _misses(row, cache) == 0]
        if not zeros:
            continue
        twin.plot(
            [depth * (1 + 0.03 * place) for depth in zeros],
            [floor * (twin.get_ylim()[1] / floor) ** 0.03] * len(zeros),
            linestyle="none",
            marker="v",
            markersize=8,
            markerfacecolor="white",
            markeredgecolor=style.colour(backend),
            markeredgewidth=1.6,
            clip_on=False,
            zorder=5,
        )
        twin.annotate(
            "0: below the axis",
            (zeros[0], floor),
            xytext=(8, 10 + 10 * place),
            textcoords="offset points",
            fontsize=7,
            color=style.colour(backend),
        )


def _legend(figure: Figure, rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for backend in _series(rows):
        look = _style(backend)
        name = style.title(backend)
        handles.append(Line2D([], [], label=f"{name}: latency", **look))
        hollow = look | {"markerfacecolor": "white", "linestyle": (0, (4, 2))}
        handles.append(Line2D([], [], label=f"{name}: LLC misses", **hollow))
    figure.legend(handles=handles, loc="upper center", ncols=4, fontsize=8, frameon=False, handlelength=3.2)


def _caption(rows: Sequence[Row], columns: int) -> str:
    """Name the machine, the caches, the source of the counts, precision and threads."""
    point = rows[0].point
    counted = next((row.counted for row in rows if row.counted), None)
    timed = next((row.timed for row in rows if row.timed), None)
    shape = f"Width {point.width}, {point.resolution}x{point.resolution}, batch {point.batch}"
    parts = [
        f"{shape}, {point.precision}, {point.threads} thread{'s' if point.threads > 1 else ''}.",
        f"Machine: {point.machine.get('cpu', 'not known')}"
        + (" (virtual)." if point.machine.get("virtual") else "."),
    ]
    if timed:
        parts.append("Latency: median of timed calls, its 95% interval as a bar.")
    if counted is None:
        parts.append("LLC misses: not counted.")
    elif counted.counts[0].source == "simulated":
        caches = "; ".join(style.geometry(cache) for cache in counted.caches)
        parts.append(f"LLC misses: simulated (llcsim, ISA {counted.isa or 'not known'}), caches {caches}.")
    else:
        parts.append(f"LLC misses: hardware counters; caches {point.machine.get('caches', 'not known')}.")
    return "\n".join(textwrap.wrap(" ".join(parts), columns))


def _depth(row: Row) -> int:
    """A pattern's number of blocks; other networks are not drawn against it."""
    return row.point.depth or 0
