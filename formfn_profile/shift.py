"""
By what ratio one side's times exceed another's, with an interval, for two small sets of independent runs.

The interval holds at `CONFIDENCE`, three standard deviations of a normal distribution: a study compares
tens of points at once, and at the usual 95% one in twenty that didn't change would raise an alarm. It is
free of assumptions on the distribution where there are enough runs for that, 6 on each side or so;
below, the logarithms are taken to be normal.
"""

from __future__ import annotations

import functools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIDENCE = 0.9973
POWER = 0.95

Method = Literal["rank", "t"]


@dataclass(frozen=True)
class Shift:
    """
    How side B stands to side A.

    `ratio` is B / A, `interval` contains the true one with `CONFIDENCE`. `smallest` is the relative
    slow-down (0.02 is 2%) that runs scattered like these would show with a probability of about `POWER`.
    `method` is "rank" (no assumption on the distribution) or "t" (normal logarithms).
    """

    ratio: float
    interval: tuple[float, float]
    smallest: float
    method: Method


def shift(a: Sequence[float], b: Sequence[float]) -> Shift:
    """
    Return the ratio of `b` to `a`, positive numbers of any unit, two on each side at least.

    The estimate is the median of all ratios b / a (Hodges and Lehmann), and the interval reaches from
    the k-th smallest to the k-th largest of them, k by the exact distribution of Mann and Whitney's U
    (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, sections 4.2 and 4.3). Where even
    the extremes of so few ratios don't reach the confidence, it is Student's, on logarithms.
    """
    logs_a, logs_b = [math.log(value) for value in a], [math.log(value) for value in b]
    differences = sorted(y - x for x in logs_a for y in logs_b)
    tail = (1 - CONFIDENCE) / 2
    rank = _rank(len(a), len(b), tail)
    method: Method
    if rank:
        method = "rank"
        centre = statistics.median(differences)
        low, high = differences[rank - 1], differences[-rank]
        normal = statistics.NormalDist()
        reach = 1 + normal.inv_cdf(POWER) / normal.inv_cdf(1 - tail)
    else:
        method = "t"
        freedom = len(a) + len(b) - 2
        critical = t_quantile(1 - tail, freedom)
        centre = statistics.fmean(logs_b) - statistics.fmean(logs_a)
        margin = critical * _standard_error(logs_a, logs_b)
        low, high = centre - margin, centre + margin
        reach = _noncentrality(critical, freedom) / critical
    return Shift(
        ratio=math.exp(centre),
        interval=(math.exp(low), math.exp(high)),
        smallest=math.expm1(reach * (high - low) / 2),
        method=method,
    )


def u_counts(m: int, n: int) -> list[int]:
    """
    Return how many of the C(m + n, m) orders of two samples have U = 0, 1, ..., m n.

    They are the coefficients of the Gaussian binomial: the product of (1 - x^(n + i)) / (1 - x^i) for
    i = 1 to m.
    """
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return counts


def t_quantile(probability: float, freedom: int) -> float:
    """Return Student's t quantile for a probability above 1/2 and a whole number of degrees of freedom."""
    return _root(lambda t: t_distribution(t, freedom) - probability)


def t_distribution(t: float, freedom: int) -> float:
    """
    Return the probability that Student's t is below `t`, 0 or more (finite sums: Abramowitz and Stegun,
    26.7.3 and 26.7.4).
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom % 2:
        term = total = cosine if freedom > 1 else 0.0
        for k in range(3, freedom - 1, 2):
            term *= cosine * cosine * (k - 1) / k
            total += term
        inside = 2 / math.pi * (angle + sine * total)
    else:
        term = total = 1.0
        for k in range(2, freedom - 1, 2):
            term *= cosine * cosine * (k - 1) / k
            total += term
        inside = sine * total
    return (1 + inside) / 2


@functools.lru_cache
def _rank(m: int, n: int, tail: float) -> int:
    """Return the largest k with P(U < k) <= tail, 0 if there is none above 0."""
    orders = math.comb(m + n, m)
    below, rank = 0, 0
    for count in u_counts(m, n):
        below += count
        if below > tail * orders:
            break
        rank += 1
    return rank


def _noncentrality(critical: float, freedom: int) -> float:
    """
    Return by how many standard errors the sides must differ for t to exceed `critical` with a
    probability of `POWER` (Johnson and Welch's approximation of the noncentral t, Biometrika 31, 1940).
    """
    spread = math.sqrt(1 + critical**2 / (2 * freedom))
    return critical * (1 - 1 / (4 * freedom)) + statistics.NormalDist().inv_cdf(POWER) * spread


def _standard_error(a: Sequence[float], b: Sequence[float]) -> float:
    squares = (len(a) - 1) * statistics.variance(a) + (len(b) - 1) * statistics.variance(b)
    return math.sqrt(squares / (len(a) + len(b) - 2) * (1 / len(a) + 1 / len(b)))


def _root(function: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    while function(high) < 0:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
