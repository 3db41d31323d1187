"""A cost model in words: what it was fitted on, its costs, and the errors of patterns it had not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from formfn_profile.cost_model import CostModel


def lines(model: CostModel) -> list[str]:
    """Return what is to be said of one backend, a line each."""
    mac, pointwise, grouped, depthwise, byte, far, operation = model.costs
    axes = ", ".join(f"{name} {' '.join(map(str, values))}" for name, values in model.axes.items())
    size = "unknown" if model.llc_bytes is None else f"{model.llc_bytes / 2**20:g} MiB"
    more = {"pointwise": pointwise, "grouped": grouped, "depthwise": depthwise}
    kinds = ", ".join(f"{name} {_rate((mac + cost) / 2)}" for name, cost in more.items())
    errors = ", ".join(f"{each.of} {each.median:.0%}" for each in model.left_out)
    threads = f"{model.threads} thread{'s' * (model.threads > 1)}"
    told = {
        "fitted on": f"{model.records} points of {len(model.left_out)} patterns; {axes}",
        "FLOPs": f"{_rate(mac / 2)} GFLOP/s; {kinds}",
        "bytes": f"{_rate(byte)} GB/s; of operations on more than the LLC ({size}) {_rate(byte + far)}",
        "an operation": f"{operation * 1e6:.3g} us",
        "median error": f"of a pattern left out of the fit: {errors}",
        "all left out": f"median {model.median_error:.1%}; two of three points are within {model.error:.1%}",
        **dict.fromkeys(["not used"] * bool(model.notes), "; ".join(model.notes)),
    }
    return [
        f"{model.backend}, {model.precision}, {threads}",
        *(f"  {name + ':':<14}{text}" for name, text in told.items()),
    ]


def _rate(seconds: float) -> str:
    return f"{1e-9 / seconds:.3g}" if seconds else "free"
