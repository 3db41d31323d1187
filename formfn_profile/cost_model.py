"""
Predict latency from a network's operations: a few costs, fitted on one machine's records of patterns.

    latency = sum over operations of   a MACs + a' MACs of its kind
                                     + b bytes + b' bytes if they exceed the last-level cache
                                     + c

Bytes are those of the tensors that an operation reads and writes. Costs are 0 or more, by least squares of
relative errors, for each backend. What a backend fuses into the operation before costs nothing there.
Errors are those of patterns that were left out of the fit, one after the other.
"""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from formfn_profile import operations, results
from formfn_profile.errors import ResultsError
from formfn_profile.observations import eager
from formfn_profile.patterns import PATTERNS, PatternSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from formfn_profile.operations import Operation
    from formfn_profile.results import Record

    Array = NDArray[np.float64]

__all__ = ["COSTS", "CostModel", "Errors", "Prediction", "fit"]

COSTS = {
    "MAC": "s a multiply-accumulate, of any kind",
    "pointwise MAC": "s more a multiply-accumulate of a pointwise convolution or a product of matrices",
    "grouped MAC": "s more a multiply-accumulate of a grouped convolution",
    "depthwise MAC": "s more a multiply-accumulate of a depthwise convolution",
    "byte": "s a byte read or written",
    "far byte": "s more a byte of an operation whose tensors together exceed the last-level cache",
    "operation": "s an operation",
}
"""What is fitted, in the order of `CostModel.costs`."""

FEWEST_RECORDS = 2 * len(COSTS)
FEWEST_PATTERNS = 3
WITHIN = 0.68
"""The share of records left out of the fit whose relative error is within `CostModel.error`."""

GRID = (
    "formfn-profile study --pattern all --depths 4 --widths 32,64,128 --resolutions 14,28,56,112"
    " --counters none --calls 10 --seconds 0.2 --warmup-seconds 1 --out grid.jsonl"
)
NEEDED = (
    f"it takes {FEWEST_RECORDS} points of {FEWEST_PATTERNS} patterns at least. Measure, for instance: {GRID}"
)
"""What a fit takes, and a grid of some minutes that suffices."""

_FUSED = ("normalisation", "activation", "addition")
_PRODUCTS = ("pointwise", "product")
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Prediction:
    """
    Seconds that a network is predicted to take, and the relative error within which two thirds of the
    patterns were that a fit had not seen. `unknown` are its kinds of operations that no record has.
    """

    latency_s: float
    error: float
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write ``4.1 ± 0.4 ms``: the error has one digit, or two where it begins with 1 or 2."""
        milliseconds = 1e3 * self.latency_s
        wide = milliseconds * self.error
        places = max(0, -math.floor(math.log10(wide / 3))) if wide > 0 else 3
        return f"{milliseconds:.{places}f} ± {wide:.{places}f} ms"


@dataclass(frozen=True)
class Errors:
    """Relative errors, predicted / measured - 1, of what was not fitted."""

    of: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of their magnitudes."""
        return float(np.median(np.abs(self.values)))


@dataclass(frozen=True)
class CostModel:
    """
    The costs of one backend on one machine.

    `costs` are in the order of `COSTS`. `flops_only` is the one cost of a MAC where nothing else is known,
    for comparison. `left_out` has the errors of each pattern by fits on the others. `axes` are the values of
    width, resolution, depth and batch among the records, `kinds` their kinds of operations, `notes` what was
    not used.
    """

    backend: str
    precision: str
    threads: int
    llc_bytes: int | None
    costs: tuple[float, ...]
    flops_only: float
    records: int
    axes: Mapping[str, tuple[int, ...]]
    kinds: frozenset[str]
    left_out: tuple[Errors, ...]
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """The relative error that two thirds of the records left out do not exceed."""
        return float(np.quantile(np.abs(self._all.values), WITHIN))

    @property
    def median_error(self) -> float:
        """The median of the relative errors of the records left out."""
        return self._all.median

    @property
    def _all(self) -> Errors:
        return Errors("all", tuple(each for fold in self.left_out for each in fold.values))

    def predict(self, network: Iterable[Operation]) -> Prediction:
        """Return the latency of a network's operations."""
        found = list(network)
        seconds = float(_work(found, self.backend, self.llc_bytes) @ np.array(self.costs))
        kinds = {each.kind for each in found if each.macs}
        return Prediction(seconds, self.error, tuple(sorted(kinds - self.kinds)))


def fit(records: Sequence[Record]) -> dict[str, CostModel]:
    """
    Return the model of each backend whose records suffice.

    Named networks and other models among the records are never fitted on.

    Raises:
        ResultsError: They suffice for no backend, or are of several precisions or numbers of threads.
    """
    usable = [each for each in records if each.status == "ok" and each.latency_s and each.network in PATTERNS]
    plain = [each for each in usable if each.isa_cap in (None, "native")]
    capped = len(usable) - len(plain)
    notes = (f"{_counted(capped, 'record')} held to an instruction set",) if capped else ()
    found, refused = {}, []
    for backend in dict.fromkeys(each.backend for each in plain):
        mine = [each for each in plain if each.backend == backend]
        for name in ("precision", "threads"):
            if len(values := sorted({str(getattr(each, name)) for each in mine})) > 1:
                raise ResultsError(
                    f"{backend}'s records are of {name} {' and '.join(values)}, and a fit is of one: choose"
                    f" with {name}"
                )
        try:
            found[backend] = _fit(mine, notes)
        except ResultsError as error:
            refused.append(str(error))
    if not found:
        raise ResultsError(f"too little for a fit: {'; '.join(refused) or 'no pattern was timed'}. {NEEDED}")
    return found


def _fit(records: Sequence[Record], notes: tuple[str, ...]) -> CostModel:
    rows = [row for row in results.pair(records) if row.timed]
    points = [row.point for row in rows]
    first = points[0]
    names = np.array([each.network for each in points])
    patterns = list(dict.fromkeys(names.tolist()))
    if len(rows) < FEWEST_RECORDS or len(patterns) < FEWEST_PATTERNS:
        raise ResultsError(
            f"{first.backend} has {_counted(len(rows), 'point')} of {_counted(len(patterns), 'pattern')}"
        )
    networks = [operations.of_pattern(_spec(each)) for each in points]
    seconds = np.array([statistics.median(row.latency()) for row in rows])
    size = _llc_bytes(first)
    work = np.array([_work(each, first.backend, size) for each in networks])
    left_out = []
    for pattern in patterns:
        out = names == pattern
        costs = _least_squares(work[~out], seconds[~out])
        left_out.append(Errors(pattern, tuple((work[out] @ costs / seconds[out] - 1).tolist())))
    return CostModel(
        backend=first.backend,
        precision=first.precision,
        threads=first.threads,
        llc_bytes=size,
        costs=tuple(_least_squares(work, seconds).tolist()),
        flops_only=float(_least_squares(work[:, :1], seconds)[0]),
        records=len(rows),
        axes={
            name: tuple(sorted({getattr(each, name) for each in points}))
            for name in ("width", "resolution", "depth", "batch")
        },
        kinds=frozenset(each.kind for network in networks for each in network),
        left_out=tuple(left_out),
        notes=notes,
    )


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _spec(record: Record) -> PatternSpec:
    asked = {name: getattr(record, name) for name in ("depth", "width", "resolution", "batch", "expansion")}
    return PatternSpec(record.network, **asked)


def _least_squares(work: Array, seconds: Array) -> Array:
    """Costs of 0 or more that make the sum of squared relative errors smallest."""
    from scipy.optimize import nnls

    scale = work.max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(work / scale / seconds[:, None], np.ones(len(seconds)))
    return np.asarray(found / scale, dtype=np.float64)


def _work(network: Sequence[Operation], backend: str, llc_bytes: int | None) -> Array:
    """What a network has of each of `COSTS`."""
    fused = () if eager(backend) else _FUSED
    total = np.zeros(len(COSTS))
    for kind, macs, read, written in network:
        if kind not in fused:
            moved = read + written
            total += (
                macs,
                macs * (kind in _PRODUCTS),
                macs * (kind == "grouped"),
                macs * (kind == "depthwise"),
                moved,
                moved * (llc_bytes is not None and moved > llc_bytes),
                1,
            )
    return total


def _llc_bytes(record: Record) -> int | None:
    """The size that a record says of its machine's last-level cache ("LLC 32 MiB/16-way behind L2 ...")."""
    said = re.match(r"LLC ([\d.]+) ([KMG]iB)", str(record.machine.get("caches")))
    return int(float(said[1]) * _UNITS[said[2]]) if said else None
