"""The ratio of two sides and its interval: against SciPy 1.17, enumeration, and seeded simulation."""

from __future__ import annotations

import itertools
import math

import pytest

from formfn_profile.shift import CONFIDENCE, shift, t_distribution, t_quantile, u_counts


@pytest.mark.parametrize(
    "freedom, probability, expected",
    [
        (1, 0.95, 6.313751514675037),
        (2, 0.95, 2.9199855803537242),
        (8, 0.95, 1.8595480375308973),
        (9, 0.95, 1.833112932656237),
        (8, 0.99865, 4.276576799570604),
        (9, 0.99865, 4.094204800476594),
    ],
)
def test_t_quantiles_are_scipys(freedom, probability, expected):
    """`scipy.stats.t.ppf(probability, freedom)`."""
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "t, freedom, expected",
    [(0.5, 1, 0.6475836176504333), (3.0, 4, 0.9800290159641406), (3.0, 7, 0.9900289369340037)],
)
def test_t_probabilities_are_scipys(t, freedom, expected):
    """`scipy.stats.t.cdf(t, freedom)`."""
    assert t_distribution(t, freedom) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("m, n", [(1, 1), (2, 3), (4, 4), (5, 3)])
def test_the_orders_are_counted_right(m, n):
    """All C(m + n, m) ways to give m of m + n ranks to one side; U counts the pairs it wins."""
    counted = [0] * (m * n + 1)
    for ranks in itertools.combinations(range(m + n), m):
        counted[sum(ranks) - m * (m - 1) // 2] += 1
    assert u_counts(m, n) == counted


@pytest.mark.parametrize("m, n, rank", [(6, 6, 1), (5, 7, 1), (10, 10, 12), (8, 12, 11), (20, 20, 92)])
def test_the_interval_ends_at_the_ranks_of_the_exact_distribution(m, n, rank):
    """The largest k with P(U < k) <= 0.00135, from SciPy's exact distribution behind `mannwhitneyu`."""
    a = [2.0**i for i in range(m)]
    b = [3.0**i for i in range(n)]
    ratios = sorted(y / x for x in a for y in b)
    seen = shift(a, b)
    assert seen.method == "rank"
    assert seen.interval == pytest.approx((ratios[rank - 1], ratios[-rank]))


def test_five_a_side_are_too_few_for_ranks():
    """All of A below all of B: chance alone does that in 2 of C(10, 5) = 252 cases, more than 0.27%."""
    seen = shift([1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4])
    assert seen.method == "t"
    assert 2 / math.comb(10, 5) > 1 - CONFIDENCE


def test_a_ratio_of_every_measurement_is_the_ratio():
    """B = 1.25 A, value by value: the estimate is that, in any order."""
    a = [3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 7.0]
    assert shift(a, [1.25 * value for value in reversed(a)]).ratio == pytest.approx(1.25)


@pytest.mark.parametrize("n", [5, 6, 10])
def test_one_false_alarm_in_a_hundred_at_most(n, scattered):
    """100 A/A pairs, twenty times over: 0.27% of 2000 are 5.4 (Poisson: over 13 in 1 of 1000 such tests)."""
    alarms = 0
    for _ in range(20):
        intervals = [shift(scattered(n), scattered(n)).interval for _ in range(100)]
        found = sum(not low <= 1 <= high for low, high in intervals)
        assert found <= 2
        alarms += found
    assert alarms <= 13


@pytest.mark.parametrize("n, spread", [(5, 0.02), (10, 0.03)])
def test_ten_percent_are_found_95_times_in_100(n, spread, scattered):
    found = sum(shift(scattered(n, spread), scattered(n, spread, 1.1)).interval[0] > 1 for _ in range(100))
    assert found >= 95


@pytest.mark.parametrize("n", [5, 6, 10, 20])
def test_the_smallest_effect_is_seen_about_95_times_in_100(n, scattered):
    """
    A slow-down of the size that it prints (its median) is found (1,000 trials: 91% at 5 a side, 92% at
    6, 94% at 10, 95% at 20), half of one in about a quarter.
    """
    smallest = sorted(shift(scattered(n), scattered(n)).smallest for _ in range(400))[200]

    def found(effect):
        return sum(shift(scattered(n), scattered(n, times=1 + effect)).interval[0] > 1 for _ in range(400))

    assert found(smallest) >= 0.88 * 400
    assert found(smallest / 2) <= 0.4 * 400


def test_a_stray_slow_process_does_not_hide_a_slow_down(scattered):
    """One process of ten on each side took three times as long: ranks know no distances."""
    a, b = scattered(10), scattered(10, times=1.1)
    a[3] *= 3
    b[7] *= 3
    assert shift(a, b).interval[0] > 1
