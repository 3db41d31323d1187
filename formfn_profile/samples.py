"""
What samples of latency say: order statistics with no assumption on their distribution, and what makes
them doubtful.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Summary:
    """
    Statistics of one point's samples, in the unit of the samples.

    `interval` is the distribution-free 95% interval of the median, None below 6 samples, where even the
    whole range covers less. `cv` is the coefficient of variation: standard deviation / mean.
    """

    n: int
    median: float
    interval: tuple[float, float] | None
    p90: float
    p99: float
    cv: float


def summarize(samples: Sequence[float]) -> Summary | None:
    """Return the statistics of `samples`, or None if there are none."""
    if not samples:
        return None
    mean = statistics.fmean(samples)
    return Summary(
        n=len(samples),
        median=statistics.median(samples),
        interval=median_interval(samples),
        p90=quantile(samples, 0.90),
        p99=quantile(samples, 0.99),
        cv=statistics.stdev(samples) / mean if len(samples) > 1 and mean else 0.0,
    )


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """
    Return the narrowest symmetric pair of order statistics that covers the median with at least `confidence`.

    The number of samples below the true median is Binomial(n, 1/2) whatever the distribution, so the
    k-th smallest and the k-th largest sample enclose it with probability 1 - 2 P(Binomial < k)
    (Conover, Practical Nonparametric Statistics, section 3.2). None where even the smallest and largest
    sample cover less: 5 samples cover 93.75%.
    """
    n = len(samples)
    tail = 0.0
    rank = 0
    while rank < n // 2:
        tail += math.exp(_log_choose(n, rank) - n * math.log(2))
        if 1 - 2 * tail < confidence:
            break
        rank += 1
    if rank == 0:
        return None
    ordered = sorted(samples)
    return ordered[rank - 1], ordered[n - rank]


def quantile(samples: Sequence[float], share: float) -> float:
    """
    Return the `share` quantile (0 to 1), linear between order statistics (Hyndman and Fan's type 7,
    NumPy's default).
    """
    ordered = sorted(samples)
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
