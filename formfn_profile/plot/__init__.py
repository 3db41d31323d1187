"""Pictures, from records only: one function each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formfn_profile.by_layer import of_records
from formfn_profile.plot.bars import networks_figure
from formfn_profile.plot.curves import miss_curve_figure, roofline_figure
from formfn_profile.plot.layers import layers_figure
from formfn_profile.plot.llc_figure import depth_figure
from formfn_profile.plot.panels import latency_figure, misses_figure
from formfn_profile.plot.precision import precision_figure
from formfn_profile.plot.style import COLOURS, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from formfn_profile.ceilings import Ceilings
    from formfn_profile.results import Record

__all__ = [
    "COLOURS",
    "FIGURES",
    "depth_figure",
    "latency_figure",
    "layers_figure",
    "miss_curve_figure",
    "misses_figure",
    "networks_figure",
    "precision_figure",
    "roofline_figure",
    "save",
]


@dataclass(frozen=True)
class Picture:
    """A picture of a study: what it shows, and how it is drawn from records (and ceilings)."""

    title: str
    draw: Callable[[Sequence[Record], Ceilings | None], Figure]


NETWORKS_BY_LAYER = 4
"""Networks (each on a backend) whose layers one picture holds."""

FIGURES: dict[str, Picture] = {
    "figure1": Picture("Latency against depth", lambda records, _: latency_figure(records, "depth")),
    "figure2": Picture("Latency against width", lambda records, _: latency_figure(records, "width")),
    "figure3": Picture(
        "LLC misses and latency against depth", lambda records, _: misses_figure(records, "depth")
    ),
    "figure4": Picture(
        "LLC misses and latency against width", lambda records, _: misses_figure(records, "width")
    ),
    "figure5": Picture("Named networks", lambda records, _: networks_figure(records)),
    "precision": Picture(
        "Gain and LLC misses by pattern and precision", lambda records, _: precision_figure(records)
    ),
    "roofline": Picture("Roofline", roofline_figure),
    "misses": Picture(
        "LLC misses against the size of the LLC", lambda records, _: miss_curve_figure(records)
    ),
    "layers": Picture(
        "Layer by layer", lambda records, _: layers_figure(of_records(records)[:NETWORKS_BY_LAYER])
    ),
}
"""Every picture of the report by name, the paper's five first."""
