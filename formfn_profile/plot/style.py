"""
What all pictures share: a backend's colour and marker, axes, captions.

A backend has one colour everywhere (Okabe and Ito's palette, told apart by the colour-blind), paler in
bf16 and int8, and one marker; latency is solid, LLC misses are dashed. Axes are logarithmic; a zero, which
such an axis has no place for, is a "below" marker at its lower edge.
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from formfn_profile.errors import ResultsError
from formfn_profile.observations import drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from formfn_profile.observations import Observation

__all__ = [
    "BELOW",
    "BLACK",
    "COLOURS",
    "DASHES",
    "GREY",
    "MARKERS",
    "TITLES",
    "below",
    "caption",
    "colour",
    "end_labels",
    "frame",
    "geometry",
    "hollow",
    "line_style",
    "log_axis",
    "machine",
    "save",
    "share",
    "short",
    "source_of_counts",
    "strength",
    "ticks_at",
    "title",
    "wrap",
]

COLOURS = {
    "torch": "#D55E00",
    "torch-onednn": "#E69F00",
    "torch-no-onednn": "#CC79A7",
    "torch-channels-last": "#56B4E9",
    "torch-compile": "#882255",
    "onnxruntime": "#7A6A00",
    "openvino-cpu": "#0072B2",
    "openvino-gpu": "#009E73",
}
MARKERS = {
    "torch": "o",
    "torch-compile": "v",
    "onnxruntime": "P",
    "openvino-cpu": "s",
    "openvino-gpu": "D",
}
TITLES = {
    "torch": "PyTorch",
    "torch-onednn": "PyTorch, explicit oneDNN",
    "torch-no-onednn": "PyTorch without oneDNN",
    "torch-channels-last": "PyTorch, channels last",
    "torch-compile": "PyTorch, compiled",
    "onnxruntime": "ONNX Runtime",
    "openvino-cpu": "OpenVINO CPU",
    "openvino-gpu": "OpenVINO GPU",
}
STRENGTHS = {"bf16": 0.6, "int8": 0.35}
DASHES = (0, (4, 2))
GREY = "#555555"
BLACK = "#000000"
BELOW = "A triangle at the lower edge: none, below the axis."

_CAPTION_COLUMNS = 18  # characters an inch at the caption's size
_CAPTION_SIZE = 7.5
_LINE_INCHES = 0.145


def colour(backend: str) -> str:
    """Return the colour of a backend; black for one that has none."""
    return COLOURS.get(backend, BLACK)


def strength(precision: str) -> float:
    """Return how strong a backend's colour is in a precision, 1 being full."""
    return STRENGTHS.get(precision, 1.0)


def title(backend: str, precision: str = "f32") -> str:
    """Return a backend's name in a legend, with its precision where that is not single."""
    name = TITLES.get(backend, backend)
    return name if precision == "f32" else f"{name}, {precision}"


def line_style(backend: str, **changes: Any) -> dict[str, Any]:
    """Return how a backend's line is drawn."""
    return {
        "color": colour(backend),
        "marker": MARKERS.get(backend, "^"),
        "markersize": 4.5,
        "linewidth": 1.6,
    } | changes


def hollow(backend: str, **changes: Any) -> dict[str, Any]:
    """Return how a backend's line of misses is drawn."""
    return line_style(backend, markerfacecolor="white", linestyle=DASHES, **changes)


def save(figure: Figure, path: str | PathLike[str]) -> None:
    """
    Write a figure; the suffix says the format (.png, .svg, .pdf).

    Raises:
        ResultsError: The file cannot be written.
    """
    try:
        figure.savefig(path, dpi=160)
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"cannot write the picture {path}: {error}. Name another file with --plot"
        ) from None


def frame(
    rows: int,
    columns: int,
    panel: tuple[float, float],
    caption: str,
    *,
    sides: tuple[float, float],
    top: float,
) -> tuple[Figure, Any]:
    """
    Return a figure of `rows` x `columns` panels of `panel` inches, with room for the caption, and its axes.

    `sides` are the inches left and right, `top` those above.
    """
    from matplotlib.figure import Figure

    width = panel[0] * columns + sum(sides)
    lines = wrap(caption, width)
    bottom = 0.2 + _LINE_INCHES * len(lines) + 0.5
    height = panel[1] * rows + bottom + top
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=sides[0] / width,
        right=1 - sides[1] / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=0.08,
        hspace=0.22,
    )
    axes = figure.subplots(rows, columns, squeeze=False, sharex=False, sharey=False)
    figure.text(
        0.12 / width,
        0.1 / height,
        "\n".join(lines),
        fontsize=_CAPTION_SIZE,
        va="bottom",
        ha="left",
        color="#333333",
        linespacing=1.35,
    )
    return figure, axes


def wrap(caption: str, inches: float) -> list[str]:
    """Break a caption into lines that fit a figure's width."""
    return textwrap.wrap(caption, max(40, int((inches - 0.2) * _CAPTION_COLUMNS)))


def log_axis(axis: Any, low: float, high: float, room: float) -> None:
    """Give an axis a logarithmic range that is `room` wider on both sides, with few and plain ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = low / room, high * room
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (low, high)})
    steps = (1.0,) if high / low > 300 else (1.0, 3.0) if high / low > 30 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """Write a tick's number with k, M or G."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def share(part: float) -> str:
    """Write a share as a percentage with two digits."""
    percent = 100 * part
    return f"{percent:.0f}%" if percent >= 9.95 else f"{percent:.2g}%"


def ticks_at(axes: Axes, values: Sequence[int]) -> None:
    """Set the ticks of a logarithmic x axis at the values measured, leaving out those too near to another."""
    shown = [values[0]]
    span = math.log(values[-1] / values[0]) or 1.0
    for value in values[1:]:
        if math.log(value / shown[-1]) > 0.075 * span:
            shown.append(value)
    axes.set_xticks(shown, [str(value) for value in shown])
    axes.set_xticks([], minor=True)


def below(axes: Axes, places: Sequence[float], backend: str) -> None:
    """Mark what is zero on the lower edge of a logarithmic axis, pointing down: it lies below."""
    floor, ceiling = axes.get_ylim()
    axes.plot(
        places,
        [floor * (ceiling / floor) ** 0.03] * len(places),
        linestyle="none",
        marker="v",
        markersize=7,
        markerfacecolor="white",
        markeredgecolor=colour(backend),
        markeredgewidth=1.5,
        clip_on=False,
        zorder=5,
    )


def end_labels(
    axes: Axes,
    x: float,
    labels: Sequence[tuple[float, str, str]],
    size: float = 7.5,
    *,
    left: bool = False,
) -> None:
    """
    Write texts right (or left) of `x` at their heights (value, text, colour), moved apart where they would
    overlap.

    The axes must have their final limits.
    """
    if not labels:
        return
    figure = axes.figure
    pixels = axes.bbox.height
    gap = 1.25 * size * figure.dpi / 72 / pixels
    low, high = (math.log(limit) for limit in axes.get_ylim())
    ordered = sorted(labels)
    places = [(math.log(value) - low) / (high - low) for value, _, _ in ordered]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    excess = max(0.0, places[-1] - (1 - gap / 2))
    for i in range(len(places) - 1, -1, -1):
        limit = places[i + 1] - gap if i + 1 < len(places) else 1 - gap / 2
        places[i] = min(places[i], limit) if excess else places[i]
    for place, (_, text, ink) in zip(places, ordered, strict=True):
        axes.annotate(
            text,
            (x, math.exp(low + place * (high - low))),
            xytext=(-5 if left else 5, 0),
            textcoords="offset points",
            va="center",
            ha="right" if left else "left",
            fontsize=size,
            color=ink,
            fontweight="bold",
        )


def caption(
    points: Iterable[Observation],
    shape: str,
    *,
    counts: bool,
    latency: bool = True,
    extra: Sequence[str] = (),
) -> str:
    """Name the shape, precision, threads, the machine with its caches, and the source of what is drawn."""
    points = list(points)
    point = points[0].point
    precisions = dict.fromkeys(
        each.point.precision if each.point.backend != "openvino-gpu" else f"{each.point.precision} on the GPU"
        for each in points
    )
    threads = dict.fromkeys(each.point.threads for each in points)
    named = ", ".join(str(number) for number in threads)
    parts = [
        f"{shape}, {' and '.join(precisions)}, {named} thread{'s' if named != '1' else ''}.",
        f"Machine: {machine(point.machine)}.",
    ]
    timed = [record for record in map(drawn(points, counts=counts), points) if record]
    if latency and timed:
        ran = dict.fromkeys(str(record.isa_cap) for record in timed if record.isa_cap not in (None, "native"))
        capped = f", kernels held to {', '.join(ran)}" if ran else ""
        parts.append(f"Latency: median of timed calls{capped}.")
    if counts:
        parts.append(source_of_counts(points))
    return " ".join([*parts, *extra])


def machine(facts: Mapping[str, Any]) -> str:
    """Name a machine: its processor and its caches."""
    virtual = " (virtual)" if facts.get("virtual") else ""
    return f"{facts.get('cpu', 'not known')}{virtual}, {facts.get('caches') or 'caches not known'}"


def source_of_counts(points: Iterable[Observation]) -> str:
    """Say where LLC misses come from, and in which caches."""
    counted = [each.counted for each in points if each.counted]
    if not counted:
        return "LLC misses: not counted."
    first = counted[0]
    if first.counts[0].source != "simulated":
        return f"LLC misses: hardware counters, {first.machine.get('caches') or 'caches not known'}."
    caches = {str(cache["name"]): cache for record in counted for cache in record.caches}
    named = "; ".join(geometry(cache) for cache in caches.values())
    return f"LLC misses: simulated (llcsim, ISA {first.isa or 'not known'}), a call, caches {named}."


def geometry(cache: Any) -> str:
    """Write a modelled processor's caches."""

    def level(name: str) -> str:
        size = cache[f"{name}_bytes"]
        return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"

    middle = f", L2 {level('l2')}/{cache['l2_ways']}" if cache.get("l2_bytes") else ""
    first = f"{cache['name']}: L1d {level('l1d')}/{cache['l1d_ways']}"
    prefetcher = f", {cache['prefetcher']} prefetcher" if "prefetcher" in cache else ""
    return f"{first}{middle}, LLC {level('llc')}/{cache['llc_ways']}{prefetcher}"
