"""
How closely numbers go together: correlation, partial correlation, a bootstrap by cluster, least squares.

Plain statistics on arrays, which know nothing of records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

RESAMPLES = 1000
VIF_LIMIT = 10.0
SMALLEST = 3
"""Points below which no coefficient is given: two points always lie on a line."""


@dataclass(frozen=True)
class Fit:
    """
    y = a x1 + b x2 with a, b >= 0 and no intercept, by least squares.

    `r2` is 1 - (sum of squared residuals) / (sum of squares about the mean of y), and `r2_first` the
    same for x1 alone; either can be negative, since there is no intercept. `vif` is the variance
    inflation factor of the two.
    """

    a: float
    b: float
    r2: float
    r2_first: float
    vif: float
    n: int


def pearson(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return Pearson's r; None below 3 points or where one of the two does not vary."""
    one, other = _array(x), _array(y)
    if len(one) < SMALLEST:
        return None
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    if scale <= 1e-12 * max(1e-300, float(np.abs(one).max() * np.abs(other).max())):
        return None
    return float(np.clip((one @ other) / scale, -1, 1))


def spearman(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return Spearman's rho: Pearson's r of the ranks, equal values sharing their mean rank."""
    return pearson(ranks(x), ranks(y))


def ranks(values: ArrayLike) -> Array:
    """Return ranks from 1; equal values get the mean of the ranks they take up."""
    array = _array(values)
    _, place, number = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(number)
    return np.asarray((last - (number - 1) / 2)[place], dtype=np.float64)


def partial(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> float | None:
    """
    Return the correlation of `x` and `y` with what `given` explains linearly taken from both.

    (r_xy - r_xz r_yz) / sqrt((1 - r_xz²)(1 - r_yz²)); None below 4 points, or where `given` explains one
    of them wholly, so that nothing is left to correlate.
    """
    if len(_array(x)) < SMALLEST + 1:
        return None
    xy, xz, yz = pearson(x, y), pearson(x, given), pearson(y, given)
    if xy is None or xz is None or yz is None:
        return None
    left = (1 - xz**2) * (1 - yz**2)
    return None if left < 1e-12 else float(np.clip((xy - xz * yz) / np.sqrt(left), -1, 1))


def clustered_interval(
    statistic: Callable[..., float | None],
    columns: Sequence[ArrayLike],
    clusters: Sequence[object],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """
    Return the 95% percentile interval of `statistic(*columns)` over whole clusters drawn with replacement.

    Points of one cluster (the widths of one pattern) are not independent, so they are drawn or left out
    together (Cameron, Gelbach and Miller 2008, "pairs cluster bootstrap"). None below 3 clusters, and
    where the statistic does not exist for more than half of the draws. With six clusters the interval is
    rough; it is narrower than it should be, if anything.
    """
    arrays = [_array(column) for column in columns]
    members = [
        np.array([i for i, each in enumerate(clusters) if each == name]) for name in dict.fromkeys(clusters)
    ]
    if len(members) < SMALLEST:
        return None
    generator = np.random.default_rng(seed)
    found = []
    for draw in generator.integers(len(members), size=(resamples, len(members))):
        chosen = np.concatenate([members[each] for each in draw])
        value = statistic(*(array[chosen] for array in arrays))
        if value is not None:
            found.append(value)
    if len(found) * 2 < resamples:
        return None
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def slope(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return the least-squares slope of y over x, with an intercept; None where x has under two values."""
    one, other = _array(x), _array(y)
    one = one - one.mean() if len(one) else one
    spread = float(one @ one)
    return None if spread == 0 else float(one @ other) / spread


def variance_inflation(x: ArrayLike, y: ArrayLike) -> float:
    """Return 1 / (1 - r²), the variance inflation factor of two explaining variables; it may be infinite."""
    r = pearson(x, y)
    if r is None:
        return 1.0
    return float("inf") if 1 - r**2 < 1e-15 else 1 / (1 - r**2)


def fit_two(y: ArrayLike, first: ArrayLike, second: ArrayLike) -> Fit:
    """
    Fit y = a first + b second with a, b >= 0.

    With two variables the optimum is that of least squares where both coefficients are positive there,
    else that of one variable alone.
    """
    target, one, two = _array(y), _array(first), _array(second)
    scale = float(np.abs(one).max() or 1), float(np.abs(two).max() or 1)
    columns = np.column_stack([one / scale[0], two / scale[1]])
    both = np.linalg.lstsq(columns, target, rcond=None)[0]
    candidates = [both] if (both >= 0).all() else []
    candidates += [
        np.array([_alone(target, columns[:, 0]), 0.0]),
        np.array([0.0, _alone(target, columns[:, 1])]),
    ]
    best = min(candidates, key=lambda found: float(np.sum((target - columns @ found) ** 2)))
    return Fit(
        a=float(best[0]) / scale[0],
        b=float(best[1]) / scale[1],
        r2=_r2(target, columns @ best),
        r2_first=_r2(target, columns[:, 0] * _alone(target, columns[:, 0])),
        vif=variance_inflation(one, two),
        n=len(target),
    )


def _alone(target: Array, column: Array) -> float:
    square = float(column @ column)
    return max(0.0, float(column @ target) / square) if square else 0.0


def _r2(target: Array, fitted: Array) -> float:
    about_mean = float(np.sum((target - target.mean()) ** 2))
    return 1 - float(np.sum((target - fitted) ** 2)) / about_mean if about_mean else 0.0


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)
