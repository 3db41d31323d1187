"""The paper's Figure 5: named networks, a bar a backend, the gain beside it, grouped by pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError
from formfn_profile.networks import NETWORKS
from formfn_profile.observations import (
    GPU,
    NATIVE,
    eager,
    gpu_reason,
    network_gain,
    network_point,
    observations,
    same_network,
)
from formfn_profile.plot import style

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from formfn_profile.observations import Observation
    from formfn_profile.results import Record

GROUPS: dict[str, tuple[str, ...]] = {
    "standard": ("resnet18", "resnet34"),
    "bottleneck": ("resnet50", "resnet101", "resnet152", "darts", "darts-optimized"),
    "grouped": ("resnext50", "resnext101"),
    "depthwise bottleneck": ("mobilenetv2",),
    "factorized, bottleneck, depthwise": ("inceptionv3",),
    "NAS": ("nasnet-large",),
}
"""The twelve networks as the paper's figure groups them."""

_BACKENDS = (
    *("torch", "torch-onednn", "torch-no-onednn", "torch-channels-last", "torch-compile"),
    *("onnxruntime", "openvino-cpu", GPU),
)
_BAR_INCHES = 0.19
_GAP = 0.7
_HEADING = 1.3


def networks_figure(records: Iterable[Record]) -> Figure:
    """
    Draw the latency of each named network on each backend, and OpenVINO's gain over native PyTorch.

    Raises:
        ResultsError: No named network was timed.
    """
    every = observations(records)
    points = [each for each in every if each.point.network in NETWORKS and each.timed]
    if not points:
        raise ResultsError(
            "nothing to draw: no named network was timed. Measure some, such as resnet18 and mobilenetv2"
        )
    batches = [each.point.batch for each in points]
    batch = max(sorted(set(batches)), key=batches.count)
    points = [each for each in points if each.point.batch == batch]
    used = [name for name in _BACKENDS if any(each.point.backend == name for each in points)]
    gpu = () if GPU in used else (f"OpenVINO GPU: {gpu_reason(every)}.",)
    caption = style.caption(
        points,
        f"Images at each network's own size, batch {batch}",
        counts=False,
        extra=("Bold: speed-up over native PyTorch. The axis is logarithmic.", *gpu),
    )
    rows = _rows(points, used)
    height = max(2.0, _BAR_INCHES * (rows[-1][0] + 1))
    figure, grid = style.frame(1, 1, (7.6, height), caption, sides=(1.55, 0.35), top=0.5)
    axes = grid[0, 0]
    _draw(axes, rows, points)
    handles = _handles(used)
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _rows(points: Sequence[Observation], used: Sequence[str]) -> list[tuple[float, str, str]]:
    """Return where each bar goes (from the top), its network and its backend; "" is a heading's."""
    rows: list[tuple[float, str, str]] = []
    shown = {each.point.network for each in points}
    at = 0.0
    for group, names in GROUPS.items():
        bars = {
            name: [backend for backend in used if network_point(name, backend, points)]
            for name in names
            if name in shown
        }
        if not bars:
            continue
        rows.append((at, group, ""))
        at += _HEADING
        for name, backends in bars.items():
            for backend in _own(name, backends, shown):
                rows.append((at, name, backend))
                at += 1
            at += _GAP
    return rows


def _own(name: str, backends: Sequence[str], shown: Collection[str]) -> list[str]:
    """Return the bars of a network, without those that stand at its other name (explicit oneDNN)."""
    siblings = [other for other in same_network(name) if other in shown]
    others = {NETWORKS[other].torch_backend for other in siblings}
    native = NETWORKS[name].torch_backend
    if siblings and native != NATIVE:
        others |= {backend for backend in backends if eager(backend) and backend != native}
    return [backend for backend in backends if backend not in others]


def _draw(axes: Axes, rows: Sequence[tuple[float, str, str]], points: Sequence[Observation]) -> None:
    found = [(at, name, backend, _ms(name, backend, points)) for at, name, backend in rows if backend]
    values = [value for *_, value in found]
    low, high = min(values), max(values)
    style.log_axis(axes.xaxis, low / 1.6, high * 2.2, 1.0)
    for at, name, backend, value in found:
        axes.barh(at, value, height=0.86, color=style.colour(backend))
        gain = None if eager(backend) else network_gain(name, backend, points)
        text = f"{value:.0f} ms" if value >= 99.5 else f"{value:.3g} ms"
        axes.annotate(
            text,
            (value, at),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color="#333333",
        )
        if gain is not None:
            axes.annotate(
                f"{gain.value:.1f}x",
                (value, at),
                xytext=(10 + 4.7 * len(text), 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                fontweight="bold",
            )
    for at, group, backend in rows:
        if not backend:
            axes.annotate(
                group,
                (0, at),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                style="italic",
                color=style.GREY,
            )
    middles: dict[str, list[float]] = {}
    for at, name, *_ in found:
        middles.setdefault(name, []).append(at)
    axes.set_yticks([sum(each) / len(each) for each in middles.values()], list(middles), fontsize=8.5)
    axes.set_ylim(rows[-1][0] + 0.9, -0.9)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("latency of a call, ms", fontsize=9)
    axes.grid(axis="x", which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _ms(name: str, backend: str, points: Sequence[Observation]) -> float:
    one = network_point(name, backend, points)
    found = one.latency() if one else None
    return found.value * 1e3 if found else 0.0


def _handles(used: Sequence[str]) -> list[object]:
    from matplotlib.patches import Patch

    return [Patch(color=style.colour(backend), label=style.title(backend)) for backend in used]
