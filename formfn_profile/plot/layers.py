"""Layers of a network: the time and the LLC misses of each, as bars in the order of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError
from formfn_profile.plot import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from formfn_profile.by_layer import Layer, Layers

_BAR_INCHES = 0.17
_SHOWN = 60


def layers_figure(measured: Sequence[Layers]) -> Figure:
    """
    Draw each layer's time (and LLC misses, where they were counted) as a bar, a row of panels a backend.

    Where a network has more layers than can be read, those that take the most time are drawn.

    Raises:
        ResultsError: There are no layers.
    """
    from matplotlib.figure import Figure

    if not measured:
        raise ResultsError("nothing to draw: no layers were measured")
    shown = [_largest(each.layers) for each in measured]
    heights = [_BAR_INCHES * max(4, len(layers)) + 1.0 for layers in shown]
    figure = Figure(figsize=(10.5, sum(heights) + 0.9), layout="constrained")
    grid = figure.subplots(len(measured), 2, squeeze=False, height_ratios=heights)
    for (left, right), one, layers in zip(grid, measured, shown, strict=True):
        colour = style.colour(one.record.backend)
        left.barh(range(len(layers)), [1e6 * (layer.seconds or 0.0) for layer in layers], color=colour)
        left.set_yticks(range(len(layers)), [_label(layer) for layer in layers])
        left.set_xlabel("time, µs")
        left.set_title(
            f"{one.record.title}, {style.title(one.record.backend, one.record.precision)}", loc="left"
        )
        _misses(right, layers, colour)
        for axes in (left, right):
            axes.invert_yaxis()
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
            axes.margins(y=0.01)
    figure.supxlabel(_caption(measured), fontsize=7.5)
    return figure


def _misses(axes: Axes, layers: Sequence[Layer], colour: str) -> None:
    if all(layer.misses is None for layer in layers):
        axes.set_axis_off()
        axes.text(0.02, 0.5, "LLC misses of single layers:\nnot counted", transform=axes.transAxes)
        return
    places = range(len(layers))
    axes.barh(places, [layer.misses or 0.0 for layer in layers], color=colour, alpha=0.55)
    axes.set_yticks([])
    axes.set_xlabel("LLC misses")


def _largest(layers: Sequence[Layer]) -> list[Layer]:
    if len(layers) <= _SHOWN:
        return list(layers)
    limit = sorted((layer.seconds or 0.0 for layer in layers), reverse=True)[_SHOWN - 1]
    return [layer for layer in layers if (layer.seconds or 0.0) >= limit]


def _label(layer: Layer) -> str:
    name = layer.modules[-1] if layer.modules else layer.name
    kind = layer.kind.split(" ")[0]
    return f"{name[-34:]}  {kind}" if kind else name


def _caption(measured: Sequence[Layers]) -> str:
    record = measured[0].record
    parts = [str(record.machine.get("cpu") or "unknown processor"), f"{record.threads} thread"]
    counted = next((each.counted for each in measured if each.counted), None)
    if counted and counted.counts:
        cache = f" ({counted.caches[0]['name']})" if counted.caches else ""
        parts.append(f"LLC misses: {counted.counts[0].source}{cache}")
    return "; ".join(parts) + "; medians a call, measured layer by layer."
