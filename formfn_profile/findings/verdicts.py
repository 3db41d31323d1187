"""What a claim is, and how figures with intervals become a verdict."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from formfn_profile.observations import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from formfn_profile.findings.data import Data

Verdict = Literal["holds", "doesn't", "inconclusive", "not measured"]
VERDICTS: tuple[Verdict, ...] = ("holds", "doesn't", "inconclusive", "not measured")

MARGIN = 1.05
"""A ratio nearer to its threshold than this is inconclusive: another process differs by as much."""

COUNT_MARGIN = 1.10
"""The same for counts, which move by up to 10% with where a process's buffers lie."""

PAR = 1.25
"""Two latencies within this ratio are called equal."""


@dataclass(frozen=True)
class Figure:
    """A number measured: a ratio ("x") or a value with its unit, and the interval it lies in."""

    label: str
    value: float
    low: float
    high: float
    unit: str = "x"

    def __str__(self) -> str:
        """Write it with three digits, the interval where it is not the value alone."""
        text = f"{self.label}: {_digits(self.value)}{self.unit}"
        low, high = _digits(self.low), _digits(self.high)
        return text if low == high else f"{text} ({low} to {high})"


@dataclass(frozen=True)
class Finding:
    """A verdict, the figures it rests on, and what has to be said about it."""

    verdict: Verdict
    figures: tuple[Figure, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Claim:
    """A finding of the paper: `where` it stands, what `paper` gives for it, and its test on records."""

    name: str
    statement: str
    where: str
    paper: str
    test: Callable[[Data], Finding] = field(repr=False)

    @property
    def method(self) -> str:
        """How it is tested: the docstring of the test."""
        return " ".join((inspect.getdoc(self.test) or "").split())


@dataclass(frozen=True)
class Result:
    """A claim and what these records say of it."""

    claim: Claim
    finding: Finding

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "claim": self.claim.name,
            "statement": self.claim.statement,
            "where": self.claim.where,
            "paper": self.claim.paper,
            "method": self.claim.method,
            "verdict": self.finding.verdict,
            "remark": self.finding.remark,
            "figures": [
                {
                    "label": each.label,
                    "value": _plain(each.value),
                    "low": _plain(each.low),
                    "high": _plain(each.high),
                    "unit": each.unit,
                }
                for each in self.finding.figures
            ],
        }


REGISTERED: dict[str, Claim] = {}


def claim(
    name: str, statement: str, *, where: str, paper: str
) -> Callable[[Callable[[Data], Finding]], Callable[[Data], Finding]]:
    """Register a test under a claim's name."""

    def add(test: Callable[[Data], Finding]) -> Callable[[Data], Finding]:
        REGISTERED[name] = Claim(name, statement, where, paper, test)
        return test

    return add


def not_measured(remark: str) -> Finding:
    """Say that the records hold nothing to test a claim on, and what would."""
    return Finding("not measured", remark=remark)


def above(ratio: Estimate, threshold: float = 1.0, margin: float = MARGIN) -> Verdict:
    """Tell whether a ratio is above a threshold by more than the margin, below it by as much, or neither."""
    if ratio.low > threshold * margin:
        return "holds"
    return "doesn't" if ratio.high < threshold / margin else "inconclusive"


def at_most(ratio: Estimate, limit: float = PAR) -> Verdict:
    """Tell whether a ratio is within a limit, beyond it, or neither for sure."""
    if ratio.high <= limit:
        return "holds"
    return "doesn't" if ratio.low > limit else "inconclusive"


def equal(ratio: Estimate, limit: float = PAR) -> Verdict:
    """Tell whether a ratio lies within 1 / limit and limit, outside, or neither for sure."""
    if 1 / limit <= ratio.low and ratio.high <= limit:
        return "holds"
    return "doesn't" if ratio.low > limit or ratio.high < 1 / limit else "inconclusive"


def percentage(ratio: Estimate, percent: float) -> tuple[Verdict, str]:
    """
    Tell whether a speed-up reaches the paper's percentage, in both readings, and say which.

    380% as a ratio is 3.8x; as what was gained it is 4.8x. Where the two disagree the verdict is
    "inconclusive".
    """
    named = ((percent / 100, "as a ratio"), (percent / 100 + 1, "as what was gained"))
    verdicts = [above(ratio, reading, 1.0) for reading, _ in named]
    said = ", ".join(
        f"{_WORD[verdict]} {reading:g}x ({percent:g}% {how})"
        for verdict, (reading, how) in zip(verdicts, named, strict=True)
    )
    return verdicts[0] if verdicts[0] == verdicts[1] else "inconclusive", said


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine: one clear exception refutes a statement on all; one doubt leaves it open."""
    found = list(verdicts)
    for verdict in ("doesn't", "inconclusive", "holds"):
        if verdict in found:
            return verdict
    return "not measured"


def finding(
    verdict: Verdict, figures: Sequence[Figure], *, remark: str = "", incomplete: str | None = None
) -> Finding:
    """
    Build a finding; `incomplete` says what was not measured of what the statement covers, so that it
    cannot hold, only be refuted.
    """
    made = Finding(verdict, tuple(figures), remark)
    if incomplete is None:
        return made
    words = ". ".join(filter(None, (remark, incomplete)))
    return replace(made, verdict="inconclusive" if verdict == "holds" else verdict, remark=words)


def figure(label: str, estimate: Estimate, unit: str = "x") -> Figure:
    """Make a figure of an estimate."""
    return Figure(label, estimate.value, estimate.low, estimate.high, unit)


def extremes(labelled: Sequence[tuple[str, Estimate]], unit: str = "x") -> list[Figure]:
    """Return the lowest and the highest of many figures."""
    ordered = sorted(labelled, key=lambda item: item[1].value)
    ends = [("lowest", ordered[0]), ("highest", ordered[-1])][: len(ordered)]
    return [figure(f"{word}, {label}", estimate, unit) for word, (label, estimate) in ends]


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the arithmetic mean, and those of the ends."""
    n = len(estimates)
    return Estimate(
        sum(each.value for each in estimates) / n,
        sum(each.low for each in estimates) / n,
        sum(each.high for each in estimates) / n,
    )


def geometric_mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the geometric mean, and those of the ends: the mean of ratios."""

    def of(values: list[float]) -> float:
        return math.exp(sum(math.log(value) for value in values) / len(values))

    return Estimate(
        of([each.value for each in estimates]),
        of([each.low for each in estimates]),
        of([each.high for each in estimates]),
    )


_WORD = {"holds": "above", "doesn't": "below", "inconclusive": "not clear of"}


def _digits(value: float) -> str:
    if not math.isfinite(value):
        return "infinite" if value > 0 else "none"
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
