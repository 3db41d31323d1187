"""Candidates within a budget by predicted latency, and named networks beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from formfn_profile import association, tabular
from formfn_profile.patterns import PatternSpec
from formfn_profile.table import digits
from formfn_profile.tabular import Table

if TYPE_CHECKING:
    from formfn_profile.cost_model import Prediction

__all__ = ["Comparison", "Ranked", "Ranking"]


_RANKING = ("network", "predicted", "GFLOPs")
_COMPARISON = ("network", "measured", "predicted", "error", "by FLOPs alone")


class _Tabled(tabular.Shown):
    """What is shown as one table."""

    def table(self) -> Table:
        """Return the table."""
        raise NotImplementedError

    def text(self, width: int | None = None) -> str:
        """Return the table, folded where it has more columns than `width`."""
        return self.table().text(width)

    def _repr_html_(self) -> str:
        return tabular.html([self.table()])


@dataclass(frozen=True)
class Ranked:
    """A candidate with the latency predicted for it and its multiply-accumulates a call."""

    candidate: Any
    prediction: Prediction
    macs: int

    @property
    def name(self) -> str:
        """A pattern's blocks and width, a module's class, or what it was called."""
        if isinstance(self.candidate, PatternSpec):
            spec = self.candidate
            return f"{spec.pattern}, {spec.depth} block{'s' * (spec.depth > 1)} at width {spec.width}"
        known = isinstance(self.candidate, str) or hasattr(self.candidate, "network")
        return str(self.candidate) if known else type(self.candidate).__name__

    @property
    def flops(self) -> int:
        """2 x MACs."""
        return 2 * self.macs


@dataclass(frozen=True, repr=False)
class Ranking(_Tabled, Sequence[Ranked]):
    """Candidates within a budget on one backend, best first; `of` is how many there were."""

    backend: str
    budget_s: float
    of: int
    ranked: tuple[Ranked, ...]

    def table(self) -> Table:
        """Return a row for each, in their order."""
        rows = [(each.name, str(each.prediction), digits(each.flops / 1e9)) for each in self.ranked]
        title = f"{self.backend}: of {self.of:,} candidates, within {1e3 * self.budget_s:g} ms"
        unknown = sorted({kind for each in self.ranked for kind in each.prediction.unknown})
        remarks = (f"Of no record, and so less certain: {', '.join(unknown)}.",) if unknown else ()
        return Table(title, _RANKING, rows or [("none", "", "")], left=_RANKING[:1], remarks=remarks)

    def __len__(self) -> int:
        """Return how many are within the budget."""
        return len(self.ranked)

    @overload
    def __getitem__(self, index: int) -> Ranked: ...

    @overload
    def __getitem__(self, index: slice) -> Ranking: ...

    def __getitem__(self, index: int | slice) -> Ranked | Ranking:
        """Return one, or a ranking of some."""
        if isinstance(index, slice):
            return Ranking(self.backend, self.budget_s, self.of, self.ranked[index])
        return self.ranked[index]


@dataclass(frozen=True, repr=False)
class Comparison(_Tabled):
    """
    Named networks, predicted and measured; none was fitted on. `rows` are (network, measured seconds,
    prediction, seconds by FLOPs alone).
    """

    backend: str
    rows: tuple[tuple[str, float, Prediction, float], ...]

    @property
    def spearman(self) -> float | None:
        """Spearman's rho of predicted and measured; None below three networks."""
        return association.spearman([row[2].latency_s for row in self.rows], self._measured)

    @property
    def flops_spearman(self) -> float | None:
        """The same of FLOPs and measured."""
        return association.spearman([row[3] for row in self.rows], self._measured)

    @property
    def median_error(self) -> float:
        """The median relative error of the predictions."""
        return self._median([row[2].latency_s for row in self.rows])

    @property
    def flops_median_error(self) -> float:
        """The same where latency is taken to be FLOPs times a constant, fitted on the same records."""
        return self._median([row[3] for row in self.rows])

    @property
    def within(self) -> int:
        """How many were measured within the error that was predicted."""
        return sum(abs(told.latency_s / measured - 1) <= told.error for _, measured, told, _ in self.rows)

    def table(self) -> Table:
        """Return a row for each network, and how well they agree."""
        rows = [
            (
                name,
                f"{digits(1e3 * measured)} ms",
                str(told),
                f"{told.latency_s / measured - 1:+.0%}",
                f"{by_flops / measured - 1:+.0%}",
            )
            for name, measured, told, by_flops in self.rows
        ]
        remarks = (
            f"Spearman {_rho(self.spearman)}, median error {self.median_error:.1%}.",
            f"By FLOPs alone: {_rho(self.flops_spearman)}, {self.flops_median_error:.1%}.",
            f"{self.within} of {len(rows)} are within the error predicted.",
        )
        title = f"{self.backend}: named networks, none of which was fitted on"
        return Table(title, _COMPARISON, rows, left=_COMPARISON[:1], remarks=remarks)

    @property
    def _measured(self) -> list[float]:
        return [row[1] for row in self.rows]

    def _median(self, told: Sequence[float]) -> float:
        return float(np.median(np.abs(np.array(told) / np.array(self._measured) - 1)))


def _rho(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
