"""
Does form follow function? Latency, FLOPs and last-level-cache misses of the same network under PyTorch and
OpenVINO.

    import formfn_profile as ff

    results = ff.measure(model, "1x3x224x224")
    results                                   # a table, in a terminal and in a notebook
    results.to_pandas()

Importing this package loads neither torch nor OpenVINO nor numpy nor matplotlib; each loads where it is
used. What `__all__` names is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from formfn_profile import backends, errors, models, networks, patterns, plot
    from formfn_profile.advisor import Advice
    from formfn_profile.api import (
        advise,
        claims,
        correlate,
        count_flops,
        layers,
        load,
        measure,
        report,
        study,
    )
    from formfn_profile.ceilings import Ceilings
    from formfn_profile.display import Claims, Correlations, Results
    from formfn_profile.measuring.protocol import Protocol
    from formfn_profile.models import Input
    from formfn_profile.patterns import PatternSpec
    from formfn_profile.plan import Point
    from formfn_profile.results import Record
    from perfcounters._version import __version__

__all__ = [
    "Advice",
    "Ceilings",
    "Claims",
    "Correlations",
    "Input",
    "PatternSpec",
    "Point",
    "Protocol",
    "Record",
    "Results",
    "__version__",
    "advise",
    "backends",
    "claims",
    "correlate",
    "count_flops",
    "errors",
    "layers",
    "load",
    "measure",
    "models",
    "networks",
    "patterns",
    "plot",
    "report",
    "study",
]

# Where each name is; what is not here is a module. No module has the name of a function: importing it would
# set the package's attribute of that name.
_HOMES = {
    **dict.fromkeys(
        ("advise", "claims", "correlate", "count_flops", "layers", "load", "measure", "report", "study"),
        "formfn_profile.api",
    ),
    **dict.fromkeys(("Claims", "Correlations", "Results"), "formfn_profile.display"),
    "Advice": "formfn_profile.advisor",
    "Ceilings": "formfn_profile.ceilings",
    "Input": "formfn_profile.models",
    "PatternSpec": "formfn_profile.patterns",
    "Point": "formfn_profile.plan",
    "Protocol": "formfn_profile.measuring.protocol",
    "Record": "formfn_profile.results",
    "__version__": "perfcounters._version",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _HOMES:
        return importlib.import_module(f"{__name__}.{name}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
