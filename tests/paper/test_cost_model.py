"""The cost model on a made-up machine whose costs are known, and what it refuses."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest

from formfn_profile import cost_model
from formfn_profile.advisor import advise
from formfn_profile.cost_model import COSTS, Prediction
from formfn_profile.errors import MeasurementError, ResultsError, UnknownBackendError
from formfn_profile.operations import Operation
from formfn_profile.patterns import PatternSpec

LLC = 2**25  # of the made-up machine
COST = dict(zip(COSTS, (2e-11, 1e-11, 3e-12, 5e-11, 4e-11, 1e-10, 5e-6), strict=True))

# A block's convolutions (inputs, outputs, pixels of the kernel, groups) at a width: the paper's six patterns.
BLOCKS = {
    "standard": lambda c: [(c, c, 9, 1)],
    "factorized": lambda c: [(c, c, 3, 1), (c, c, 3, 1)],
    "bottleneck": lambda c: [(c, c // 4, 1, 1), (c // 4, c // 4, 9, 1), (c // 4, c, 1, 1)],
    "dwseparable": lambda c: [(c, c, 9, c), (c, c, 1, 1)],
    "dwbottleneck": lambda c: [(c, c // 4, 1, 1), (c // 4, c // 4, 9, c // 4), (c // 4, c, 1, 1)],
    "grouped": lambda c: [(c, c, 9, 8)],
}


def work(network, depth, width, resolution, batch=1, *, fused=False):
    """What the network has of each cost, by its definition: batch norm and ReLU follow each convolution."""
    pixels = batch * resolution**2
    has = dict.fromkeys(COSTS, 0)

    def book(macs, moved, kind=None):
        has["MAC"] += macs
        if kind:
            has[f"{kind} MAC"] += macs
        has["byte"] += moved
        has["far byte"] += moved * (moved > LLC)
        has["operation"] += 1

    for inputs, outputs, kernel, groups in [(3, width, 9, 1), *(BLOCKS[network](width) * depth)]:
        weights = kernel * outputs * inputs // groups
        spread = "depthwise" if groups == inputs else "grouped"
        kind = "pointwise" if kernel == 1 else spread if groups > 1 else None
        book(weights * pixels, 4 * ((inputs + outputs) * pixels + weights), kind)
        if not fused:
            book(0, 4 * (2 * outputs * pixels + 4 * outputs))  # weight, bias, mean and variance of a channel
            book(0, 4 * 2 * outputs * pixels)
    book(0, 4 * (width * pixels + width * batch))
    book(10 * width * batch, 4 * ((width + 1) * 10 + width * batch + 10 * batch), "pointwise")
    return has


def seconds(network, depth=4, width=64, resolution=56, batch=1, backend="torch"):
    """What it takes on the made-up machine: its costs, where OpenVINO fuses batch norm and ReLU."""
    has = work(network, depth, width, resolution, batch, fused=backend != "torch")
    return sum(COST[name] * has[name] for name in COSTS)


def fill(make, **axes):
    axes = {"depth": (4,), "width": (32, 64, 128), "resolution": (14, 56, 112), "batch": (1, 32)} | axes
    return make.grid(seconds, **axes)


@pytest.mark.parametrize("backend", ["torch", "openvino-cpu"])
def test_the_fit_gives_back_the_machine(make, backend):
    """Seven costs from 108 latencies that they made, for eager operations and for fused ones."""
    model = cost_model.fit(fill(make))[backend]
    assert model.records == 108
    assert dict(zip(COSTS, model.costs, strict=True)) == pytest.approx(COST, rel=1e-6)
    assert model.axes == {
        "width": (32, 64, 128),
        "resolution": (14, 56, 112),
        "depth": (4,),
        "batch": (1, 32),
    }


def test_costs_are_never_below_zero(make):
    """A machine on which bytes speed things up: the cost of a byte stops at 0."""

    def odd(**point):
        has = work(**{name: point[name] for name in ("network", "depth", "width", "resolution")})
        return 1e-10 * has["MAC"] - 1e-12 * has["byte"]

    grid = make.grid(odd, backends=("torch",), depth=(4,), width=(64, 128, 256), resolution=(28, 56))
    assert min(cost_model.fit(grid)["torch"].costs) == 0


def test_a_pattern_left_out_is_predicted_by_the_others(make):
    """
    Exactly, since the machine is as the model has it; but grouped convolutions are the grouped pattern's
    alone, and without it what they cost more than others is not known.
    """
    model = cost_model.fit(fill(make))["torch"]
    errors = {each.of: each for each in model.left_out}
    assert {name: len(each.values) for name, each in errors.items()} == dict.fromkeys(BLOCKS, 18)
    assert max(errors[name].median for name in BLOCKS if name != "grouped") < 1e-6
    points = itertools.product((32, 64, 128), (14, 56, 112), (1, 32))
    missing = [
        -COST["grouped MAC"] * work("grouped", 4, *point)["grouped MAC"] / seconds("grouped", 4, *point)
        for point in points
    ]
    assert sorted(errors["grouped"].values) == pytest.approx(sorted(missing), rel=1e-3)
    assert model.error == pytest.approx(np.quantile(np.abs([0] * 90 + missing), 0.68), abs=1e-6)


def test_flops_alone_are_one_cost_for_all(make):
    """The least squares of relative errors of t = a MACs, in closed form: a = sum(m/t) / sum((m/t)²)."""
    records = fill(make)
    timed = [each for each in records if each.backend == "torch"]
    shares = [
        work(each.network, each.depth, each.width, each.resolution, each.batch)["MAC"]
        / statistics.median(each.latency_s)
        for each in timed
    ]
    expected = sum(shares) / sum(share**2 for share in shares)
    assert cost_model.fit(records)["torch"].flops_only == pytest.approx(expected)


def test_a_prediction_is_the_sum_over_operations(make):
    model = cost_model.fit(fill(make))["torch"]
    network = [
        Operation("depthwise", 1000, 3 * LLC, LLC),
        Operation("activation", 0, 40, 60),
    ]
    told = model.predict(network)
    far = 4 * LLC * (COST["byte"] + COST["far byte"])
    expected = 1000 * (COST["MAC"] + COST["depthwise MAC"]) + far + 100 * COST["byte"] + 2 * COST["operation"]
    assert told.latency_s == pytest.approx(expected, rel=1e-6)
    assert (told.error, told.unknown) == (model.error, ())


def test_kinds_that_no_record_has_are_named(make):
    model = cost_model.fit(fill(make, network=("standard", "factorized", "bottleneck")))["torch"]
    told = model.predict([Operation("grouped", 10, 1, 1), Operation("pointwise", 10, 1, 1)])
    assert told.unknown == ("grouped",)


@pytest.mark.parametrize(
    "latency_s, error, text",
    [
        (0.0041, 0.1, "4.1 ± 0.4 ms"),
        (0.0050, 0.34, "5.0 ± 1.7 ms"),
        (0.3, 0.1, "300 ± 30 ms"),
        (0.00042, 0.05, "0.420 ± 0.021 ms"),
        (0.002, 0.0, "2.000 ± 0.000 ms"),
    ],
)
def test_a_prediction_in_words(latency_s, error, text):
    """One digit of the error, two where it begins with 1 or 2, as particle physics' Review has it."""
    assert str(Prediction(latency_s, error)) == text


def test_named_networks_and_capped_records_are_not_fitted_on(make):
    before = cost_model.fit(fill(make))["torch"]
    make.timed(99.0, network="resnet18", pattern="standard", depth=None, width=None, resolution=224)
    make.timed(99.0, network="standard", depth=4, width=64, resolution=56, isa_cap="avx2")
    after = cost_model.fit(make.made)["torch"]
    assert (after.costs, after.records) == (before.costs, before.records)
    assert after.notes == ("1 record held to an instruction set",)


def test_too_few_records_are_refused(make):
    with pytest.raises(
        ResultsError, match=r"too little for a fit: no pattern was timed.*formfn-profile study"
    ):
        cost_model.fit([])
    make.grid(seconds, network=("standard",), depth=range(1, 20), width=(64,), resolution=(56,))
    with pytest.raises(
        ResultsError, match=r"torch has 19 points of 1 pattern.*it takes 14 points of 3 patterns"
    ):
        cost_model.fit(make.made)


def test_the_grid_that_is_recommended_suffices():
    """Its points, by the options of `study`."""
    from formfn_profile.study_command import parser

    words = cost_model.GRID.split()
    assert words[:2] == ["formfn-profile", "study"]
    options = parser().parse_args(words[2:])
    assert options.pattern == ("all",)
    points = len(BLOCKS) * len(options.depths) * len(options.widths) * len(options.resolutions)
    assert points >= cost_model.FEWEST_RECORDS


@pytest.mark.parametrize("name, values", [("threads", (1, 2)), ("precision", ("f32", "bf16"))])
def test_one_of_several_is_to_be_chosen(make, name, values):
    for value in values:
        for network, width in itertools.product(BLOCKS, (32, 64, 128)):
            point = {"network": network, "width": width, "depth": 4, "resolution": 56}
            make.timed(seconds(**point) * (1 + values.index(value)), **point, **{name: value})
    with pytest.raises(ResultsError, match=f"torch's records are of {name} .* and .*: choose with {name}"):
        advise(make.made)
    one, other = (
        advise(make.made, **{name: value}).predict(PatternSpec("grouped"), backend="torch")
        for value in values
    )
    assert other.latency_s == pytest.approx(2 * one.latency_s)


def test_what_is_not_there_is_refused(make):
    advice = advise(fill(make))
    with pytest.raises(UnknownBackendError, match="no backend 'openvino-gpu'"):
        advice.predict(PatternSpec("grouped"), backend="openvino-gpu")
    with pytest.raises(ResultsError, match="no record of threads 4 and precision f16"):
        advise(make.made, threads=4, precision="f16")
    with pytest.raises(ResultsError, match="openvino-gpu's records do not suffice"):
        advise(make.made, backends=["torch", "openvino-gpu"])
    with pytest.raises(MeasurementError, match="a budget of 0 s"):
        advice.rank([PatternSpec("grouped")], 0, backend="torch")


def test_candidates_within_a_budget_most_work_first(make):
    """By the machine's own costs, which the fit gives back; own keys order as they say."""
    advice = advise(fill(make))
    specs = [PatternSpec(name, depth, 64, 56) for name in BLOCKS for depth in (1, 2, 4, 8, 16)]
    budget = 0.01
    found = advice.rank(specs, budget, backend="torch")
    fit = [each for each in specs if seconds(each.pattern, each.depth) <= budget]
    fit.sort(key=lambda each: work(each.pattern, each.depth, 64, 56)["MAC"], reverse=True)
    assert 0 < len(fit) < len(specs)
    assert [each.candidate for each in found] == fit
    assert [each.flops for each in found] == [2 * work(e.pattern, e.depth, 64, 56)["MAC"] for e in fit]
    fastest = advice.rank(specs, budget, backend="torch", key=lambda each: -each.prediction.latency_s)
    assert fastest[0].candidate == min(specs, key=lambda each: seconds(each.pattern, each.depth))
    assert "of 30 candidates, within 10 ms" in str(found)
    assert str(found[:1]).splitlines()[-1].startswith(found[0].name)
    assert "none" in str(advice.rank(specs, 1e-6, backend="torch"))


def test_the_deepest_of_each_form(make):
    """As many blocks as the budget has left after stem and head, each costing the same."""
    advice = advise(fill(make))
    budget = 0.02
    found = advice.forms(
        budget, backend="openvino-cpu", widths=(64, 100), depths=range(1, 200), resolution=56
    )
    expected = {}
    for name, width in itertools.product(BLOCKS, (64, 100)):
        if name == "grouped" and width == 100:
            continue  # its eight groups do not divide 100 channels
        one, two = (seconds(name, depth, width, 56, 1, "openvino-cpu") for depth in (1, 2))
        expected[name, width] = 1 + int((budget - one) / (two - one))
    assert {(e.candidate.pattern, e.candidate.width): e.candidate.depth for e in found} == expected
    assert found.of == 11 * 199
    flops = [each.flops for each in found]
    assert flops == sorted(flops, reverse=True)
    assert f"dwbottleneck, {expected['dwbottleneck', 64]} blocks at width 64" in str(found)


def test_the_model_in_words(make):
    text = str(advise(fill(make)))
    assert "torch, f32, 1 thread\n" in text
    assert "108 points of 6 patterns; width 32 64 128, resolution 14 56 112, depth 4, batch 1 32" in text
    assert "100 GFLOP/s; pointwise 66.7, grouped 87, depthwise 28.6\n" in text  # 2 FLOPs a MAC
    assert "25 GB/s; of operations on more than the LLC (32 MiB) 7.14\n" in text
    assert "5 us" in text
