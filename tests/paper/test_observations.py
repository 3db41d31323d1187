"""Records seen as points: twins, repeats, sweeps and gains."""

from __future__ import annotations

import pytest

from formfn_profile.observations import (
    Estimate,
    best,
    drawn,
    miss_source,
    network_gain,
    observations,
    speed_up,
)


def test_processes_are_repeats_and_a_later_run_of_one_replaces_it(make):
    """Medians 1.0, 1.3 and 1.1 of processes 0, 1 and 2: the median is 1.1; the interval encloses all."""
    make.timed(9.0, process=1)
    for process, seconds in enumerate((1.0, 1.3, 1.1)):
        make.timed(seconds, process=process, spread=0)
    (one,) = observations(make.made)
    assert one.latency() == Estimate(1.1, 1.0, 1.3)


def test_a_gain_compares_the_same_instruction_set(make):
    """Natively only PyTorch was timed; held to AVX2 both were, 4 s and 2 s."""
    make.timed(1.0)
    make.timed(4.0, isa_cap="avx2")
    make.timed(2.0, isa_cap="avx2", backend="openvino-cpu")
    native, ours = observations(make.made)
    assert speed_up(ours, [native, ours]).value == pytest.approx(2)
    make.timed(0.5, backend="openvino-cpu")
    native, ours = observations(make.made)
    assert speed_up(ours, [native, ours]).value == pytest.approx(2)
    assert ours.latency().value == pytest.approx(0.5)


def test_a_picture_of_counts_takes_the_latency_of_the_same_kernels(make):
    """Counted with AVX2; timed natively, with AVX-512, and held to AVX2."""
    make.timed(1.0, isa="avx512")
    make.counted({"host": 5})
    (one,) = observations(make.made)
    assert drawn([one], counts=True)(one).isa_cap == "native"
    make.timed(2.0, isa_cap="avx2")
    (one,) = observations(make.made)
    assert drawn([one], counts=True)(one).isa_cap == "avx2"
    assert drawn([one], counts=False)(one).isa_cap == "native"


def test_a_line_is_of_one_kind_of_kernels(make):
    """
    Two points were counted, with AVX2, and two not. Of each pair one was timed with AVX-512 alone: its
    latency is left out.
    """
    for depth in (10, 20, 30, 40):
        make.timed(1.0, isa="avx512", depth=depth)
        if depth < 30:
            make.counted({"host": 5}, depth=depth)
        if depth in (10, 30):
            make.timed(2.0, isa_cap="avx2", depth=depth)
    points = observations(make.made)
    caps = [timed and timed.isa_cap for timed in map(drawn(points, counts=True), points)]
    assert caps == ["avx2", None, "avx2", None]


@pytest.mark.parametrize(
    "other", [{"batch": 8}, {"depth": 20}, {"seed": 1}, {"threads": 2}, {"precision": "bf16"}, {"width": 32}]
)
def test_another_point_is_no_twin(make, other):
    make.timed(4.0, **other)
    make.timed(1.0, backend="openvino-cpu")
    points = observations(make.made)
    assert speed_up(points[1], points) is None


def test_half_precision_is_compared_with_single_precision_pytorch(make):
    make.timed(4.0)
    make.timed(1.0, backend="openvino-gpu", precision="f16")
    points = observations(make.made)
    assert speed_up(points[1], points).value == pytest.approx(4)


def test_the_fullest_sweep_and_of_equals_the_smaller_batch(make):
    make.grid(lambda **_: 1.0, network=("standard", "grouped"), depth=(10, 50), batch=(8, 1))
    make.grid(lambda **_: 1.0, network=("standard",), depth=(10, 20, 50), width=(128,))
    sweep = best(observations(make.made), "depth")
    assert (sweep.values, sweep.networks) == ([10, 50], ["standard", "grouped"])
    assert sweep.fixed["batch"] == 1
    assert best(observations(make.made), "batch").values == [1, 8]


def test_which_cache_misses_are_taken_from(make):
    assert miss_source(observations([make.timed(1.0)])) == (False, None)
    host = make.counted({"host": 1})
    assert miss_source(observations([host])) == (True, "host")
    assert miss_source(observations([make.counted({"host": 1, "paper": 2})])) == (True, "paper")
    assert miss_source(observations([make.counted({None: 3}, source="hardware")])) == (True, None)


def test_darts_by_explicit_onednn_shares_openvinos_darts(make):
    """12 s natively and 5 s through explicit oneDNN, against 1 s: 12 and 5."""
    point = {"pattern": "dwseparable", "depth": None, "width": None}
    make.timed(12.0, network="darts", **point)
    make.timed(5.0, network="darts-optimized", backend="torch-onednn", **point)
    make.timed(1.0, network="darts", backend="openvino-cpu", **point)
    points = observations(make.made)
    gains = [network_gain(name, "openvino-cpu", points).value for name in ("darts", "darts-optimized")]
    assert gains == pytest.approx([12, 5])
