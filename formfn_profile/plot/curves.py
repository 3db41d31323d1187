"""Beyond the paper: the roofline, and misses against the size of the LLC."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError
from formfn_profile.observations import (
    NATIVE,
    PAPER_CACHE,
    Observation,
    best,
    drawn,
    miss_source,
    observations,
)
from formfn_profile.plot import style
from formfn_profile.results import LINE_BYTES
from formfn_profile.table import cache_figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from formfn_profile.ceilings import Ceilings
    from formfn_profile.results import Record

_PANEL = (3.75, 2.8)
_COLUMNS = 3
_OTHER_ROOFS = ("bf16", "int8")  # the ceilings are those of f32
_MARKED = 16  # points of a curve above which it has no markers


def roofline_figure(
    records: Iterable[Record], ceilings: Ceilings | None = None, cache: str | None = "best"
) -> Figure:
    """
    Draw what each pattern computes a second against the FLOPs it gets out of a byte moved between LLC and
    memory (lines read and lines written back), under the machine's `ceilings`.

    Each pattern is drawn at its deepest; a grey line leads from PyTorch to OpenVINO.

    Raises:
        ResultsError: No pattern was both timed and counted.
    """
    every = observations(records)
    name = miss_source(every)[1] if cache == "best" else cache
    deepest = _deepest(every)
    timed = drawn(deepest.values(), counts=True)
    placed = {key: at for key, each in deepest.items() if (at := _place(each, name, timed(each)))}
    if not placed:
        raise ResultsError(
            "nothing to draw under a roofline: no pattern was timed and has LLC misses counted."
            " Measure with counts, and networks that do not fit in the cache"
        )
    points = [deepest[key] for key in placed]
    networks = list(dict.fromkeys(network for network, _, _ in placed))
    listed = ", ".join(f"{number} {network}" for number, network in enumerate(networks, 1))
    left_out = [
        f"{network} on {backend}" for network, backend, _ in deepest if (network, backend, _) not in placed
    ]
    extra = [
        f"Patterns at their deepest: {listed}.",
        f"Bytes: 64 for each LLC line read or written back, LLC of {name or 'the hardware'}.",
        _ceilings_text(ceilings),
    ]
    if left_out:
        extra.append(f"Left out, not both timed and counted or without misses: {', '.join(left_out)}.")
    if above := [name for name in _OTHER_ROOFS if any(each.point.precision == name for each in every)]:
        extra.append(f"Left out, since the roof is not theirs: {' and '.join(above)}.")
    first = points[0].point
    shape = _shape(first).capitalize()
    caption = style.caption(points, shape, counts=True, extra=extra)
    figure, grid = style.frame(1, 1, (7.2, 4.4), caption, sides=(0.8, 0.4), top=0.5)
    axes = grid[0, 0]
    _limits(axes, list(placed.values()), ceilings)
    if ceilings:
        _roof(axes, ceilings)
    for number, network in enumerate(networks, 1):
        _pattern(axes, number, {key: at for key, at in placed.items() if key[0] == network})
    axes.set_xlabel("arithmetic intensity, FLOPs a byte of memory traffic", fontsize=9)
    axes.set_ylabel("GFLOP/s", fontsize=9)
    axes.grid(which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    handles = _handles(points)
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def miss_curve_figure(records: Iterable[Record]) -> Figure:
    """
    Draw LLC misses of a call against the size of the LLC, a panel a pattern, a line a backend and depth.
    Only caches behind one and the same L1d and L2 are joined.

    Raises:
        ResultsError: No pattern was counted with two sizes of LLC behind the same L1d and L2.
    """
    every = observations(records)
    lines = [(each, curve) for each in _compared(every) if len(curve := _curve(each)) > 1]
    if not lines:
        raise ResultsError(
            "nothing to draw against the size of the LLC: it takes simulated counts with several sizes behind"
            " one L2. Count with --curve"
        )
    networks = list(dict.fromkeys(each.point.network for each, _ in lines))
    lines.sort(key=lambda line: line[0].at("depth") or 0)
    points = [each for each, _ in lines]
    depths = dict.fromkeys(each.at("depth") for each in points)
    shape = f"{' and '.join(map(str, depths))} blocks, {_shape(points[0].point)}"
    counted = points[0].counted
    isa = (counted and counted.isa) or "not known"
    said = f"LLC misses: simulated (llcsim, ISA {isa}), a call, {_inner(points[0])}. {style.BELOW}"
    extra = [said, *(["At the lines: blocks."] if len(depths) > 1 else [])]
    caption = style.caption(points, shape, counts=False, latency=False, extra=extra)
    columns = min(_COLUMNS, len(networks))
    rows = math.ceil(len(networks) / columns)
    figure, grid = style.frame(rows, columns, _PANEL, caption, sides=(0.75, 0.3), top=0.6)
    sizes = sorted({size for _, curve in lines for size in curve})
    heights = [misses for _, curve in lines for misses in curve.values() if misses]
    for cell in list(grid.flat)[len(networks) :]:
        cell.set_visible(False)
    for number, (axes, network) in enumerate(zip(grid.flat, networks, strict=False)):
        style.log_axis(axes.yaxis, min(heights, default=1), max(heights, default=10), 1.4)
        axes.set_xscale("log", base=2)
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.3)
        ticks = [size for size in sizes if math.log2(size).is_integer()]
        axes.set_xticks(ticks, [f"{size:g}" for size in ticks], fontsize=8)
        axes.set_xticks([], minor=True)
        here = [line for line in lines if line[0].point.network == network]
        for place, (one, curve) in enumerate(here):
            _line(axes, one, curve, place)
        if len(depths) > 1:
            _blocks(axes, here)
        _mark_caches(axes, points[0].counted, sizes)
        axes.set_title(network, fontsize=10)
        axes.set_xlabel("LLC, MiB" if number + columns >= len(networks) else "", fontsize=8.5)
        axes.tick_params(labelsize=8)
        if number % columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("LLC misses a call", fontsize=9)
        axes.grid(which="major", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
    handles = _handles(points, dashed=True)
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _line(axes: Axes, one: Observation, curve: Mapping[float, float], place: int) -> None:
    """Draw one curve; `place` sets its zeros apart from another's."""
    backend = one.point.backend
    above = {size: misses for size, misses in curve.items() if misses}
    look = {"marker": ""} if len(curve) > _MARKED else {}
    axes.plot(list(above), list(above.values()), **style.hollow(backend) | look)
    style.below(axes, [size * (1 + 0.06 * place) for size in curve if not curve[size]], backend)


def _blocks(axes: Axes, lines: Sequence[tuple[Observation, Mapping[float, float]]]) -> None:
    """Write the number of blocks where each line begins."""
    starts = [(one, *next(iter(curve.items()))) for one, curve in lines]
    labels = [
        (misses, str(one.at("depth")), style.colour(one.point.backend)) for one, _, misses in starts if misses
    ]
    style.end_labels(axes, min(size for _, size, _ in starts), labels, left=True)


def _shape(point: Record) -> str:
    return f"width {point.width}, {point.resolution}x{point.resolution} pixels, batch {point.batch}"


def _compared(every: Sequence[Observation]) -> Sequence[Observation]:
    """Return the patterns' points of the fullest sweep over depth; all of them where there is none."""
    sweep = best(every, "depth")
    return sweep.observations if sweep else [one for one in every if one.is_pattern]


def _deepest(every: Sequence[Observation]) -> dict[tuple[str, str, str], Observation]:
    """Return each pattern's deepest point of each backend, of those that the roof is the roof of."""
    found: dict[tuple[str, str, str], Observation] = {}
    for each in _compared(every):
        if each.point.precision in _OTHER_ROOFS:
            continue
        key = (each.point.network, each.point.backend, each.point.precision)
        if key not in found or (each.at("depth") or 0) > (found[key].at("depth") or 0):
            found[key] = each
    return found


def _place(one: Observation, cache: str | None, record: Record | None) -> tuple[float, float] | None:
    """Return FLOPs a byte and FLOP/s of `record`; None where one was not measured, or nothing was moved."""
    figures, taken = one.cache(cache), one.latency(record) if record else None
    if figures is None or taken is None or not one.point.flops or not figures.lines_read:
        return None
    moved = LINE_BYTES * (figures.lines_read + (figures.writebacks or 0))
    return one.point.flops / moved, one.point.flops / taken.value


def _limits(axes: Axes, placed: Sequence[tuple[float, float]], ceilings: Ceilings | None) -> None:
    xs, ys = [x for x, _ in placed], [y / 1e9 for _, y in placed]
    if ceilings:
        xs.append(ceilings.ridge)
        ys.append(ceilings.peak_flops / 1e9)
    style.log_axis(axes.xaxis, min(xs), max(xs), 2.0)
    style.log_axis(axes.yaxis, min(ys), max(ys), 1.8)


def _roof(axes: Axes, ceilings: Ceilings) -> None:
    low, high = axes.get_xlim()
    xs = [low, ceilings.ridge, high]
    axes.plot(
        xs,
        [min(x * ceilings.bandwidth, ceilings.peak_flops) / 1e9 for x in xs],
        color=style.BLACK,
        linewidth=1.2,
    )
    axes.annotate(
        f"{ceilings.peak_flops / 1e9:.0f} GFLOP/s",
        (max(low, ceilings.ridge), ceilings.peak_flops / 1e9),
        xytext=(6, 4),
        textcoords="offset points",
        ha="left",
        fontsize=7.5,
    )
    foot = max(low, axes.get_ylim()[0] * 1e9 / ceilings.bandwidth)
    axes.annotate(
        f"{ceilings.bandwidth / 1e9:.1f} GB/s",
        (foot, foot * ceilings.bandwidth / 1e9),
        xytext=(16, -4),
        textcoords="offset points",
        ha="left",
        fontsize=7.5,
    )


def _pattern(axes: Axes, number: int, placed: Mapping[tuple[str, str, str], tuple[float, float]]) -> None:
    native = next((at for (_, backend, _), at in placed.items() if backend == NATIVE), None)
    for (_, backend, _), (x, y) in placed.items():
        if native and backend != NATIVE:
            axes.plot([native[0], x], [native[1] / 1e9, y / 1e9], color="#BBBBBB", linewidth=1, zorder=1)
        axes.plot(
            [x],
            [y / 1e9],
            marker="o",
            markersize=11,
            color=style.colour(backend),
            markeredgecolor="white",
            zorder=3,
        )
        axes.annotate(
            str(number),
            (x, y / 1e9),
            ha="center",
            va="center",
            fontsize=7.5,
            color="white",
            zorder=4,
            fontweight="bold",
        )


def _ceilings_text(ceilings: Ceilings | None) -> str:
    if ceilings is None:
        return "Ceilings: not measured."
    return f"Ceilings, {ceilings.threads} thread{'s' if ceilings.threads > 1 else ''}: {ceilings.how}."


def _curve(one: Observation) -> dict[float, float]:
    """
    Return misses by size of the LLC in MiB: of the curve that was recorded, else of the caches modelled
    behind the L1d and L2 that most of them have.
    """
    if one.counted is None:
        return {}
    if one.counted.curve:
        name = _curve_of(one)
        found = {point["llc_bytes"]: point["misses"] for point in one.counted.curve if point["cache"] == name}
        return {size / 2**20: found[size] for size in sorted(found)}
    misses = {figures.cache: figures.misses for figures in cache_figures(one.counted)}
    behind: dict[tuple[object, ...], dict[float, float]] = {}
    for each in one.counted.caches:
        number = misses.get(each["name"])
        if number is not None:
            keys = ("l1d_bytes", "l1d_ways", "l2_bytes", "l2_ways", "prefetcher")
            inner = tuple(each.get(key) for key in keys)
            behind.setdefault(inner, {})[each["llc_bytes"] / 2**20] = number
    fullest = max(behind.values(), key=len, default={})
    return dict(sorted(fullest.items()))


def _mark_caches(axes: Axes, counted: Record | None, sizes: Sequence[float]) -> None:
    """A line at the size of each modelled LLC that a recorded curve reaches, with its name."""
    for cache in counted.caches if counted and counted.curve else ():
        size = cache["llc_bytes"] / 2**20
        if not sizes[0] <= size <= sizes[-1]:
            continue
        axes.axvline(size, color=style.GREY, linewidth=0.8, linestyle=":", zorder=1)
        axes.annotate(
            str(cache["name"]),
            (size, 0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=7.5,
            color=style.GREY,
        )


def _curve_of(one: Observation) -> str | None:
    """Return the cache whose curve is drawn, of those recorded: the paper's first."""
    names = [point["cache"] for point in one.counted.curve] if one.counted else []
    return next((name for name in (PAPER_CACHE, *names) if name in names), None)


def _inner(one: Observation) -> str:
    """Name the L1d and L2 in front of the LLCs of a curve."""
    sizes, name = _curve(one), _curve_of(one)
    for cache in one.counted.caches if one.counted else ():
        if cache["name"] == name or (name is None and cache["llc_bytes"] / 2**20 in sizes):
            ways = f"its {cache['llc_bytes'] // cache['llc_ways'] // 64} sets, " if name else ""
            front = style.geometry(cache).partition(":")[2].rpartition(", LLC")[0]
            return f"LLC of each size ({ways}LRU) behind{front}"
    return "caches not known"


def _handles(points: Sequence[Observation], *, dashed: bool = False) -> list[object]:
    from matplotlib.lines import Line2D

    kinds = dict.fromkeys((each.point.backend, each.point.precision) for each in points)
    made: list[object] = []
    for backend, precision in kinds:
        look = (
            style.hollow(backend)
            if dashed
            else style.line_style(backend, linestyle="none", marker="o", markersize=9)
        )
        made.append(Line2D([], [], label=style.title(backend, precision), **look))
    return made
