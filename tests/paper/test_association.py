"""Statistics on arrays, each against SciPy, which computes it by its own code, or against a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from formfn_profile import association

SEEDS = range(20)


def correlated(seed: int, n: int = 24):
    random = np.random.default_rng(seed)
    x = random.lognormal(size=n)
    return x, x ** random.uniform(-1, 2) * random.lognormal(sigma=0.5, size=n), random.lognormal(size=n)


@pytest.mark.parametrize("seed", SEEDS)
def test_correlations_are_scipys(seed):
    x, y, _ = correlated(seed)
    ties = np.round(x)
    assert association.pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic, rel=1e-9)
    assert association.spearman(ties, y) == pytest.approx(scipy.stats.spearmanr(ties, y).statistic, rel=1e-9)
    assert association.ranks(ties) == pytest.approx(scipy.stats.rankdata(ties))


@pytest.mark.parametrize("seed", SEEDS)
def test_partial_correlation_is_that_of_the_residuals(seed):
    """Its definition: what SciPy's regressions on `given` leave of both, correlated by SciPy."""
    x, y, z = correlated(seed)
    y = y + 0.3 * z
    lines = [scipy.stats.linregress(z, each) for each in (x, y)]
    left = [each - line.intercept - line.slope * z for each, line in zip((x, y), lines, strict=True)]
    expected = scipy.stats.pearsonr(*left).statistic
    assert association.partial(x, y, z) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_fit_is_scipys_nnls(seed):
    x, y, z = correlated(seed)
    target = np.random.default_rng(seed).uniform(-1, 1) * x + 0.5 * z + 0.1 * y
    found = association.fit_two(target, x * 1e9, z * 1e6)
    expected, residual = scipy.optimize.nnls(np.column_stack([x * 1e9, z * 1e6]), target)
    assert (found.a, found.b) == pytest.approx(tuple(expected), rel=1e-7, abs=1e-15)
    about_mean = np.sum((target - target.mean()) ** 2)
    assert found.r2 == pytest.approx(1 - residual**2 / about_mean, rel=1e-7)
    alone = scipy.optimize.nnls((x * 1e9)[:, None], target)[1]
    assert found.r2_first == pytest.approx(1 - alone**2 / about_mean, rel=1e-7)


def test_fit_gives_back_the_coefficients_that_made_the_data():
    flops, misses = np.array([1e9, 2e9, 3e9, 5e9]), np.array([4e6, 1e6, 6e6, 2e6])
    found = association.fit_two(2e-11 * flops + 80e-9 * misses, flops, misses)
    assert (found.a, found.b, found.r2) == pytest.approx((2e-11, 80e-9, 1.0))


def test_variance_inflation_in_closed_form():
    """With r = 0.8 of (1,2,3,4) and (1,3,2,4): 1 / (1 - 0.64)."""
    assert association.variance_inflation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 / 0.36)
    assert association.variance_inflation([1, 2, 3], [2, 4, 6]) == math.inf


@pytest.mark.parametrize("seed", SEEDS)
def test_slope_is_scipys(seed):
    x, y, _ = correlated(seed)
    assert association.slope(x, y) == pytest.approx(scipy.stats.linregress(x, y).slope)


def test_what_does_not_exist_is_none():
    assert association.pearson([1, 2], [3, 4]) is None
    assert association.pearson([1, 1, 1], [3, 4, 5]) is None
    assert association.partial([1, 2, 3, 4], [1, 2, 4, 3], [1, 2, 3, 4]) is None
    assert association.slope([5, 5], [1, 2]) is None
    assert association.clustered_interval(association.pearson, ([1, 2, 3], [1, 3, 2]), "aab") is None


def test_bootstrap_with_clusters_of_one_is_scipys_percentile_bootstrap():
    random = np.random.default_rng(7)
    x = random.normal(size=40)
    y = x + random.normal(size=40)
    ours = association.clustered_interval(association.pearson, (x, y), range(40), resamples=4000)
    theirs = scipy.stats.bootstrap(
        (x, y),
        lambda a, b: scipy.stats.pearsonr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=4000,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_bootstrap_draws_whole_clusters():
    """
    The mean of clusters (0, 0), (0, 0), (3, 3) over draws of three whole clusters is Binomial(3, 1/3): its
    2.5% and 97.5% quantiles are 0 and 3, and no draw mixes the members of a cluster.
    """
    means = []

    def mean(values: np.ndarray) -> float:
        means.append(float(values.mean()))
        return means[-1]

    interval = association.clustered_interval(mean, ([0, 0, 0, 0, 3, 3],), "aabbcc", resamples=6000)
    assert interval == (0.0, 3.0)
    shares = [means.count(k) / 6000 for k in range(4)]
    assert shares == pytest.approx([scipy.stats.binom(3, 1 / 3).pmf(k) for k in range(4)], abs=0.02)
