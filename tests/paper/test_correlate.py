"""Correlation of made-up records: what must come out is known by closed form or SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from formfn_profile import correlation
from formfn_profile.observations import vector_family

WIDTHS = (32, 64, 128, 256)
COST = {
    "standard": 9.0,
    "factorized": 6.0,
    "bottleneck": 1.1,
    "dwseparable": 1.2,
    "dwbottleneck": 0.6,
    "grouped": 1.125,
}


def flops(network, width, depth=10):
    return int(COST[network] * depth * width**2 * 20_000)


def misses(network, width, depth=10):
    """Unlike FLOPs: the patterns with the fewest FLOPs miss most a FLOP."""
    return int(depth * width * 300 * (10 - COST[network]))


def fill(make, *, widths=WIDTHS, depths=(10,), isa="avx2", noise=0.0, backend="torch"):
    random = np.random.default_rng(1)
    for network in COST:
        for width in widths:
            for depth in depths:
                work, missed = flops(network, width, depth), misses(network, width, depth)
                seconds = (2e-11 * work + 50e-9 * missed) * float(np.exp(noise * random.normal()))
                point = {
                    "network": network,
                    "width": width,
                    "depth": depth,
                    "flops": work,
                    "backend": backend,
                }
                make.timed(seconds, isa=isa, **point)
                make.counted({"host": missed, "paper": 10 * missed}, instructions=work // 8, **point)
    return make.made


def test_coefficients_are_scipys_over_patterns_and_widths(make):
    records = fill(make, noise=0.3)
    (found,) = correlation.correlations(records)
    timed = [record for record in records if record.latency_s]
    x = [float(np.median(record.latency_s)) for record in timed]
    work = [record.flops for record in timed]
    missed = [misses(record.network, record.width) for record in timed]
    assert (found.points, found.patterns, found.widths) == (24, tuple(COST), WIDTHS)
    by_pair = {(each.x, each.y): each for each in found.associations}
    for name, y in (("FLOPs", work), ("LLC misses", missed)):
        each = by_pair["latency", name]
        assert (each.n, each.patterns) == (24, 6)
        assert each.spearman.value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
        assert each.pearson_log.value == pytest.approx(scipy.stats.pearsonr(np.log(x), np.log(y)).statistic)
        low, high = each.pearson_log.interval
        assert low <= each.pearson_log.value <= high
    assert -1 <= found.partial.value <= 1


def test_fit_gives_back_the_machine(make):
    """Latency was made as 0.02 ns a FLOP and 50 ns a miss of the machine's own cache, not of the paper's."""
    (found,) = correlation.correlations(fill(make))
    assert found.refused is None
    assert (found.fit.a, found.fit.b) == pytest.approx((2e-11, 50e-9), rel=1e-3)
    assert found.fit.r2 == pytest.approx(1, abs=1e-6)
    assert found.fit.r2_first < found.fit.r2
    assert found.source == "simulated with this machine's caches"


def test_collinear_points_are_refused_a_fit(make):
    """Misses exactly in proportion to FLOPs: no fit can tell one from the other."""
    for network in COST:
        for width in WIDTHS:
            point = {"network": network, "width": width, "flops": flops(network, width)}
            make.timed(1e-11 * point["flops"], **point)
            make.counted({"host": point["flops"] // 1000}, **point)
    (found,) = correlation.correlations(make.made)
    assert found.fit is None
    assert "collinear" in found.refused
    assert found.partial.value is None


@pytest.mark.slow
def test_a_depth_series_gets_slopes_and_no_coefficient(make):
    """Over depth all is proportional: 0.02 ns x FLOPs + 50 ns x misses a block, by the formula above."""
    records = fill(make, widths=(64,), depths=(10, 20, 30))
    for found in correlation.slopes(records):
        work, missed = flops(found.pattern, 64, 1), misses(found.pattern, 64, 1)
        assert found.depths == (10, 20, 30)
        assert found.label.startswith("trivial")
        assert (found.flops, found.misses) == pytest.approx((work, missed))
        assert found.latency_s == pytest.approx(2e-11 * work + 50e-9 * missed)
        assert not hasattr(found, "spearman")
    (across,) = correlation.compare_slopes(correlation.slopes(records)).values()
    assert {each.n for each in across} == {6}
    assert correlation.correlations(records)[0].points == 6  # one depth, the deepest


@pytest.mark.parametrize(
    "isa,points", [("avx2", 24), ("avx2 (12 layers), avx512 (1)", 24), ("aten avx512, onednn avx512", 0)]
)
def test_timed_and_counted_runs_have_one_isa(make, isa, points):
    """The simulator's processor has AVX2; what was timed with AVX-512 is not put beside its counts."""
    (found,) = correlation.correlations(fill(make, isa=isa))
    assert found.points == points
    if not points:
        assert "--isa avx2" in found.left_out[0]
        assert {each.spearman.value for each in found.associations} == {None}
        assert found.fit is None


def test_the_run_with_the_counted_isa_is_chosen_where_both_were_timed(make):
    fill(make)
    for record in list(make.made):
        if record.latency_s:
            make.timed(
                99.0,
                isa="avx512",
                network=record.network,
                width=record.width,
                isa_cap="other",
                flops=record.flops,
            )
    (found,) = correlation.correlations(make.made)
    assert (found.fit.a, found.fit.b) == pytest.approx((2e-11, 50e-9), rel=1e-3)


def test_misses_of_another_machines_caches_are_not_used(make):
    for width in WIDTHS:
        make.timed(0.01 * width, width=width)
        make.counted({"paper": 1000 * width}, width=width)
    (found,) = correlation.correlations(make.made)
    assert found.points == 0
    assert found.left_out == ("misses of another machine's caches only: count with --cache host (4 points)",)


def test_zero_misses_have_no_logarithm_and_are_left_out(make):
    fill(make)
    make.counted({"host": 0}, network="grouped", width=32, flops=flops("grouped", 32))
    (found,) = correlation.correlations(make.made)
    ns = {(each.x, each.y): each.n for each in found.associations}
    assert ns["latency", "FLOPs"] == 24
    assert ns["latency", "LLC misses"] == 23


def test_misses_of_what_fits_in_the_llc_are_chance_and_left_out(make):
    """Under 1% of the lines of its activations (64 bytes each): 100 misses of 20,000 lines."""
    fill(make)
    size = {"parameter_bytes": 0, "activation_bytes": 20_000 * 64}
    for network in COST:
        point = {"network": network, "width": 32, "flops": flops(network, 32)}
        make.counted({"host": 100}, **point, **size)
    (found,) = correlation.correlations(make.made)
    ns = {(each.x, each.y): each.n for each in found.associations}
    assert (ns["latency", "FLOPs"], ns["latency", "LLC misses"]) == (24, 18)
    assert found.left_out == ("its misses: it fits in the LLC, so they are chance (6 points)",)


def test_four_points_get_no_coefficient(make):
    fill(make, widths=(64,))
    kept = [
        record
        for record in make.made
        if record.network in ("standard", "grouped", "bottleneck", "factorized")
    ]
    (found,) = correlation.correlations(kept)
    assert {each.n for each in found.associations} == {4}
    assert {each.spearman.value for each in found.associations} == {None}
    assert found.refused == "too few points with misses: 4, needed 5"


def test_what_was_counted_comes_before_what_is_more(make):
    """Twelve points timed alone at depth 50, six timed and counted at depth 10."""
    fill(make, widths=(64,))
    for network in COST:
        for width in (32, 128):
            make.timed(1.0, network=network, width=width, depth=50)
    (found,) = correlation.correlations(make.made)
    assert (found.points, found.fixed["depth"]) == (6, 10)


def test_slopes_of_two_batch_sizes_are_not_mixed(make):
    fill(make, widths=(64,), depths=(10, 30))
    for network in COST:
        for depth in (10, 30):
            make.timed(8.0 * depth, network=network, depth=depth, batch=8)
    found = correlation.slopes(make.made)
    assert len(found) == 12
    (across,) = correlation.compare_slopes(found).values()
    assert {each.n for each in across} == {6}


def test_families_of_vector_instructions():
    """As the backends write them (formfn_profile.backends.isa.summary, torch_cpu)."""
    assert vector_family("avx2 (12 layers), avx512 (1)") == "avx2"
    assert vector_family("aten avx512, onednn avx512, mkl not known") == "avx512"
    assert vector_family("aten avx512, onednn avx2, mkl avx2") is None
    assert vector_family(None) is None
