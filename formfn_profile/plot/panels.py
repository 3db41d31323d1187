"""The paper's Figures 1 to 4: a panel a pattern, against depth or width, on shared axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from formfn_profile.errors import ResultsError
from formfn_profile.observations import (
    GPU,
    Line,
    Observation,
    Sweep,
    drawn,
    eager,
    gpu_reason,
    miss_source,
    observations,
    speed_up,
    sweeps,
)
from formfn_profile.plot import style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from formfn_profile.observations import Axis
    from formfn_profile.results import Record

_PANEL = (3.75, 2.95)
_COLUMNS = 3
_BATCH_LINES: tuple[Literal["-", "-.", ":"], ...] = ("-", "-.", ":")
_UNITS = {"depth": "depth, blocks", "width": "width, channels"}
_FLOPS_LINE = (0, (5, 2))
_END_ROOM = {1: 0.2, 2: 0.35, 3: 0.48}


@dataclass(frozen=True)
class _Series:
    """Points of a line with what is drawn of them."""

    line: Line
    sweep: Sweep
    points: Sequence[Observation]

    @property
    def strength(self) -> float:
        """How strong its colour is."""
        return style.strength(self.line.precision)

    def xy(self, value: Callable[[Observation], float | None]) -> tuple[list[int], list[float]]:
        """Return where and how high; what is absent or not above zero is no point."""
        pairs = [(each.at(self.sweep.axis), value(each)) for each in self.points]
        kept = [(x, y) for x, y in pairs if x is not None and y]
        return [x for x, _ in kept], [y for _, y in kept]


def latency_figure(records: Iterable[Record], axis: Axis) -> Figure:
    """
    Draw latency for each image against depth or width, a line for each backend and batch size, FLOPs as a
    dashed line of its own, and the speed-up over PyTorch at the ends: the paper's Figures 1 and 2.

    Raises:
        ResultsError: No pattern was timed at two depths (widths).
    """
    every = observations(records)
    drawn = _batches(every, axis)
    points = [each for sweep in drawn for each in sweep.observations]
    caption = style.caption(
        points,
        _shape(drawn[0], batches=[_batch(sweep) for sweep in drawn]),
        counts=False,
        extra=(_what_ends_say(drawn), *_no_gpu(points, every)),
    )
    figure, panels = _grid(drawn[0].networks, caption)
    right = []
    for axes, network in panels:
        twin = axes.twinx()
        right.append(twin)
        for number, sweep in enumerate(drawn):
            for series in _of(sweep, network):
                pattern = _BATCH_LINES[number % len(_BATCH_LINES)]
                look = style.line_style(series.line.backend, linestyle=pattern, alpha=series.strength)
                axes.plot(*series.xy(_image_ms), **look)
        x, y = _flops(drawn[0], network)
        twin.plot(x, y, color=style.GREY, linestyle=_FLOPS_LINE, linewidth=1.1)
    decades = _share([axes for axes, _ in panels], drawn[0], len(drawn))
    _share(right, drawn[0], len(drawn), decades)
    for axes, network in panels:
        _gains(axes, network, drawn, every)
        _panel(axes, network, drawn[0].axis, points)
    _sides(
        panels, right, _columns(drawn[0].networks), ("latency an image, ms", "GFLOPs an image (grey, dashed)")
    )
    handles = [*_backend_handles(points, misses=False), *_batch_handles(drawn), _flops_handle()]
    figure.legend(handles=handles, loc="upper center", ncols=min(7, len(handles)), **_LEGEND)
    return figure


def misses_figure(records: Iterable[Record], axis: Axis, cache: str | None = "best") -> Figure:
    """
    Draw LLC misses of a call (dashed, right) and latency (solid, left) against depth or width, and at the
    ends which share of LLC references missed: the paper's Figures 3 and 4.

    `cache` names the modelled processor, None is the hardware, "best" the first there is of hardware, the
    paper's cache, this machine's.

    Raises:
        ResultsError: No pattern was measured at two depths (widths).
    """
    every = observations(records)
    sweep = _fullest(every, axis)
    name = miss_source(every)[1] if cache == "best" else cache
    points = sweep.observations
    rates = "At the ends: the share of LLC references that missed."
    extra = (f"LLC drawn: that of {name or 'the hardware'}.", rates, style.BELOW, *_no_gpu(points, every))
    caption = style.caption(points, _shape(sweep, batches=[_batch(sweep)]), counts=True, extra=extra)
    figure, panels = _grid(sweep.networks, caption)
    right = [axes.twinx() for axes, _ in panels]

    timed = drawn(points, counts=True)

    def call_ms(one: Observation) -> float | None:
        record = timed(one)
        found = one.latency(record) if record else None
        return None if found is None else found.value * 1e3

    def misses(one: Observation) -> float | None:
        figures = one.cache(name)
        return None if figures is None else figures.misses

    for (axes, network), twin in zip(panels, right, strict=True):
        for series in _of(sweep, network):
            backend, alpha = series.line.backend, series.strength
            axes.plot(*series.xy(call_ms), **style.line_style(backend, alpha=alpha))
            twin.plot(*series.xy(misses), **style.hollow(backend, alpha=alpha))
    _share([axes for axes, _ in panels], sweep, 1)
    _share(right, sweep, 1)
    for (axes, network), twin in zip(panels, right, strict=True):
        _rates(twin, network, sweep, name)
        for place, series in enumerate(_of(sweep, network)):
            zeros = [x for each in series.points if misses(each) == 0 and (x := each.at(axis))]
            style.below(twin, [x * (1 + 0.03 * place) for x in zeros], series.line.backend)
        _panel(axes, network, axis, points)
    _sides(panels, right, _columns(sweep.networks), ("latency, ms (solid)", "LLC misses a call (dashed)"))
    handles = _backend_handles(points, misses=True)
    figure.legend(handles=handles, loc="upper center", ncols=min(7, len(handles)), **_LEGEND)
    return figure


_LEGEND = {"fontsize": 8, "frameon": False, "handlelength": 3.2, "columnspacing": 1.4}


def _fullest(points: Sequence[Observation], axis: Axis) -> Sweep:
    found = sweeps(points, axis)
    if not found:
        raise ResultsError(
            f"nothing to draw against {axis}: no pattern was measured at two {axis}s."
            f" Measure more, such as {'--depths 10,30,50' if axis == 'depth' else 'other widths'}"
        )
    return found[0]


def _batches(points: Sequence[Observation], axis: Axis) -> list[Sweep]:
    """Return the fullest sweep and those that differ from it in the batch alone, three at most."""
    main = _fullest(points, axis)
    alike = [
        each
        for each in sweeps(points, axis)
        if {**each.fixed, "batch": None} == {**main.fixed, "batch": None}
    ]
    return sorted(alike, key=_batch)[: len(_BATCH_LINES)]


def _grid(networks: Sequence[str], caption: str) -> tuple[Figure, list[tuple[Axes, str]]]:
    columns = _columns(networks)
    rows = math.ceil(len(networks) / columns)
    figure, axes = style.frame(rows, columns, _PANEL, caption, sides=(0.75, 0.85), top=0.72)
    cells = list(axes.flat)
    for empty in cells[len(networks) :]:
        empty.set_visible(False)
    return figure, list(zip(cells, networks, strict=False))


def _columns(networks: Sequence[str]) -> int:
    return min(_COLUMNS, len(networks))


def _of(sweep: Sweep, network: str) -> list[_Series]:
    return [_Series(line, sweep, points) for line, points in sweep.of(network).items()]


def _share(panels: Sequence[Axes], sweep: Sweep, batches: int, decades: float = 0.0) -> float:
    """
    Give all panels one range, and room on the right for what is written at the ends.

    `decades` widens the range to as many, so that equal slopes look equal. Returns how many there are.
    """
    found = [np.asarray(line.get_ydata(), dtype=float) for axes in panels for line in axes.lines]
    heights = np.concatenate([each for each in found if each.size] or [np.array([1.0, 10.0])])
    low, high = float(heights.min()), float(heights.max())
    more = max(0.0, decades - math.log10(high / low)) / 2
    low, high = low / 10**more, high * 10**more
    values = sweep.values
    span = values[-1] / values[0]
    for axes in panels:
        style.log_axis(axes.yaxis, low, high, 1.35)
        axes.set_xscale("log")
        axes.set_xlim(values[0] / span**0.06, values[-1] * span ** _END_ROOM[batches])
        style.ticks_at(axes, values)
    return math.log10(high / low)


def _panel(axes: Axes, network: str, axis: str, points: Sequence[Observation]) -> None:
    axes.set_title(network, fontsize=10)
    axes.set_xlabel(_UNITS[axis], fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.grid(which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    if all(each.point.backend != GPU for each in points):
        axes.annotate(
            "GPU: not measured",
            (1.0, 1.01),
            xycoords="axes fraction",
            fontsize=6.5,
            color=style.GREY,
            va="bottom",
            ha="right",
        )


def _sides(
    panels: Sequence[tuple[Axes, str]], right: Sequence[Axes], columns: int, labels: tuple[str, str]
) -> None:
    """Label the outer sides alone: the axes are shared."""
    for number, ((axes, _), twin) in enumerate(zip(panels, right, strict=True)):
        twin.tick_params(labelsize=8)
        if number % columns == 0:
            axes.set_ylabel(labels[0], fontsize=9)
        else:
            axes.tick_params(labelleft=False)
        if number % columns == columns - 1 or number == len(panels) - 1:
            twin.set_ylabel(labels[1], fontsize=9)
        else:
            twin.tick_params(labelright=False)
        if number + columns < len(panels):
            axes.set_xlabel("")


def _gains(axes: Axes, network: str, drawn: Sequence[Sweep], every: Sequence[Observation]) -> None:
    """
    Write each accelerated line's gain at the greatest depth or width, for each batch size in order, at the
    end of the first; a dash for a batch size that was not measured there.
    """
    end = drawn[0].values[-1]
    found: dict[Line, dict[int, tuple[float, str]]] = {}
    for number, sweep in enumerate(drawn):
        for series in _of(sweep, network):
            last = series.points[-1]
            gain, height = speed_up(last, every), _image_ms(last)
            accelerated = not eager(last.point.backend)
            if accelerated and last.at(sweep.axis) == end and gain is not None and height is not None:
                found.setdefault(series.line, {})[number] = (height, f"{gain.value:.1f}")
    labels = []
    for line, gains in found.items():
        texts = [gains[number][1] if number in gains else "-" for number in range(len(drawn))]
        labels.append((next(iter(gains.values()))[0], "/".join(texts) + "x", style.colour(line.backend)))
    style.end_labels(axes, end, labels)


def _rates(twin: Axes, network: str, sweep: Sweep, cache: str | None) -> None:
    labels = []
    for series in _of(sweep, network):
        figures = series.points[-1].cache(cache)
        if figures is not None and figures.misses and figures.miss_rate is not None:
            labels.append((figures.misses, style.share(figures.miss_rate), style.colour(series.line.backend)))
    style.end_labels(twin, sweep.values[-1], labels, size=7)


def _flops(sweep: Sweep, network: str) -> tuple[list[int], list[float]]:
    found: dict[int, float] = {}
    for series in _of(sweep, network):
        for each in series.points:
            x, flops = each.at(sweep.axis), each.point.flops
            if x is not None and flops:
                found[x] = flops / each.point.batch / 1e9
    return sorted(found), [found[x] for x in sorted(found)]


def _image_ms(one: Observation) -> float | None:
    found = one.image_latency()
    return None if found is None else found.value * 1e3


def _batch(sweep: Sweep) -> int:
    return sweep.fixed["batch"] or 1


def _shape(sweep: Sweep, batches: Sequence[int]) -> str:
    other = "width" if sweep.axis == "depth" else "depth"
    side = sweep.fixed["resolution"]
    sizes = ", ".join(str(batch) for batch in batches)
    return f"{other.capitalize()} {sweep.fixed[other]}, {side}x{side} pixels, batch {sizes}"


def _what_ends_say(drawn: Sequence[Sweep]) -> str:
    sizes = "/".join(str(_batch(sweep)) for sweep in drawn)
    return f"At the ends: speed-up over PyTorch{f' at batch {sizes}' if len(drawn) > 1 else ''}."


def _no_gpu(points: Sequence[Observation], every: Sequence[Observation]) -> tuple[str, ...]:
    if any(each.point.backend == GPU for each in points):
        return ()
    return (f"OpenVINO GPU: {gpu_reason(every)}.",)


def _backend_handles(points: Sequence[Observation], *, misses: bool) -> list[object]:
    from matplotlib.lines import Line2D

    handles: list[object] = []
    for backend, precision in dict.fromkeys((each.point.backend, each.point.precision) for each in points):
        name, alpha = style.title(backend, precision), style.strength(precision)
        label = f"{name}: latency" if misses else name
        handles.append(Line2D([], [], label=label, **style.line_style(backend, alpha=alpha)))
        if misses:
            handles.append(Line2D([], [], label=f"{name}: LLC misses", **style.hollow(backend, alpha=alpha)))
    return handles


def _batch_handles(drawn: Sequence[Sweep]) -> list[object]:
    from matplotlib.lines import Line2D

    if len(drawn) == 1:
        return []
    return [
        Line2D([], [], color=style.BLACK, linestyle=pattern, label=f"batch {_batch(sweep)}")
        for sweep, pattern in zip(drawn, _BATCH_LINES, strict=False)
    ]


def _flops_handle() -> object:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=style.GREY, linestyle=_FLOPS_LINE, linewidth=1.1, label="FLOPs (right)")
