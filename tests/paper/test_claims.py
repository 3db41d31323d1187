# Long: a scenario for each verdict of each claim.
"""
Each claim gives each of its verdicts on made-up records.

The records are made from the statement itself: where it is true, where it is false, where the difference
is within the margins of formfn_profile.findings.verdicts (5% of time, 10% of counts), where there is none.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from formfn_profile.findings import CLAIMS, VERDICTS, Data, advise, check
from formfn_profile.findings.verdicts import percentage
from formfn_profile.networks import NETWORKS
from formfn_profile.observations import Estimate

DEPTHS = {"depth": (10, 50)}
WIDTHS = {"width": (32, 64, 512), "depth": (10,)}
BATCHES = {"batch": (1, 8, 32), "depth": (10,)}
ALL = ("torch", "openvino-cpu", "openvino-gpu")
STEEP = ("standard", "factorized", "bottleneck")


def gains(gain, axes, **options):
    """PyTorch takes a second; the others take what a gain of `gain(backend, **point)` leaves."""

    def fill(make):
        def seconds(backend, **point):
            return 1.0 if backend == "torch" else 1.0 / gain(backend=backend, **point)

        make.grid(seconds, **axes, **options)

    return fill


def times(seconds, axes, **options):
    return lambda make: make.grid(seconds, **axes, **options)


def counts(fall, axes, *, gpu=None):
    """PyTorch misses a million times; OpenVINO a million over `fall(**point)`, the GPU that times `gpu`."""

    def fill(make):
        def misses(backend, **point):
            if backend == "torch":
                return 1_000_000
            return int(1_000_000 / fall(**point) * (gpu if backend == "openvino-gpu" else 1))

        make.grid(lambda **_: None, misses, **axes)

    return fill


def both_falls(deep, wide):
    def fill(make):
        counts(lambda **_: deep, DEPTHS | {"depth": (20, 50)})(make)
        counts(lambda **_: wide, {"width": (128, 256), "depth": (10,)})(make)

    return fill


def gpu_and_cpu(misses, latency):
    """The GPU's misses and latency over the CPU's."""

    def fill(make):
        make.grid(
            lambda backend, **_: {"torch": 1.0, "openvino-cpu": 0.5, "openvino-gpu": 0.5 * latency}[backend],
            lambda backend, **_: {"torch": 9000, "openvino-cpu": 1000, "openvino-gpu": int(1000 * misses)}[
                backend
            ],
            backends=ALL,
            **DEPTHS,
        )

    return fill


def half_precision(ratio):
    def fill(make):
        make.timed(1.0, backend="openvino-cpu")
        make.timed(1.0 / ratio, backend="openvino-cpu", precision="f16")

    return fill


def kernels(torch, openvino, relus=11):
    """Kernels of each pattern at depth 10: reorders in PyTorch, and what else ran in OpenVINO."""

    def fill(make):
        for name in ("standard", "factorized", "bottleneck", "dwseparable", "dwbottleneck", "grouped"):
            known = {"network": name, "uncounted": {"aten.relu": relus}}
            ran = {"oneDNN convolution jit:avx2": 11} | ({"oneDNN reorder jit:blk": torch} if torch else {})
            make.timed(1.0, kernels=ran, **known)
            ran = {"Convolution jit_avx2_f32": 11} | openvino
            make.timed(0.5, backend="openvino-cpu", kernels=ran, **known)

    return fill


def networks(gain, *, seconds=lambda name: 0.5 if name == "mobilenetv2" else 1.0, onednn=None, patterns=None):
    """OpenVINO takes `seconds` of a network, PyTorch that times its gain."""

    def fill(make):
        for name, network in NETWORKS.items():
            point = {
                "network": name,
                "pattern": network.pattern,
                "depth": None,
                "width": None,
                "resolution": 224,
            }
            if name == "darts-optimized":
                if onednn:
                    make.timed(onednn * seconds("darts"), backend="torch-onednn", **point)
                continue
            make.timed(seconds(name), backend="openvino-cpu", **point)
            make.timed(seconds(name) * gain(name), **point)
        if patterns:
            gains(lambda network, **_: patterns[network], DEPTHS)(make)

    return fill


def rising(native, accelerated):
    """An image takes `native` and `accelerated` times as long at batch 32 as at batch 1."""

    def seconds(backend, batch, **_):
        rise = native if backend == "torch" else accelerated
        return batch * (1 + (rise - 1) * (batch - 1) / 31) * (1.0 if backend == "torch" else 0.25)

    return times(seconds, BATCHES)


def power(exponents, axes=WIDTHS, **options):
    """Latency as width to a power for each pattern; `exponents(backend, network)`."""
    return times(
        lambda backend, network, width, **_: width ** exponents(backend, network) / 1e4, axes, **options
    )


def nothing(make):
    del make


ONLY_TORCH = times(lambda **_: 1.0, DEPTHS, backends=("torch",))
FOLLOWING = {
    "standard": 2.0,
    "bottleneck": 3.0,
    "grouped": 4.0,
    "factorized": 5.0,
    "dwseparable": 6.0,
    "dwbottleneck": 7.0,
}


def by_pattern(name):
    return FOLLOWING[NETWORKS[name].pattern]


SCENARIOS = {
    "acceleration-helps": (
        gains(lambda **_: 3, DEPTHS),
        gains(lambda network, depth, **_: 0.5 if (network, depth) == ("grouped", 50) else 3, DEPTHS),
        gains(lambda **_: 1.02, DEPTHS),
        ONLY_TORCH,
    ),
    "gain-grows-with-depth": (
        gains(lambda depth, **_: 2 + depth / 10, DEPTHS),
        gains(lambda depth, **_: 9 - depth / 10, DEPTHS),
        gains(lambda **_: 3, DEPTHS),
        ONLY_TORCH,
    ),
    "mean-gain": (
        gains(lambda **_: 6, DEPTHS),
        gains(lambda **_: 2, DEPTHS),
        gains(lambda **_: 4.3, DEPTHS),  # 380% as a ratio, not as what was gained
        ONLY_TORCH,
    ),
    "dwbottleneck-gains-most": (
        gains(lambda network, **_: 6 if network == "dwbottleneck" else 3, DEPTHS),
        gains(lambda network, **_: 2 if network == "dwbottleneck" else 3, DEPTHS),
        gains(lambda network, **_: 6 if network == "dwbottleneck" else 3, {"depth": (10, 30)}),
        gains(lambda **_: 3, DEPTHS, network=("standard", "grouped")),
    ),
    "dwbottleneck-gain": (
        gains(lambda **_: 7, DEPTHS),
        gains(lambda **_: 5, DEPTHS),
        gains(lambda **_: 7, {"depth": (10, 30)}),
        gains(lambda **_: 7, DEPTHS, network=("standard",)),
    ),
    "separable-fifty-as-ten": (
        times(lambda backend, depth, **_: depth * (1 if backend == "torch" else 0.2), DEPTHS),
        times(lambda backend, depth, **_: depth * (1 if backend == "torch" else 0.4), DEPTHS),
        times(lambda backend, depth, **_: depth * (1 if backend == "torch" else 0.25), DEPTHS),
        times(lambda depth, **_: depth, {"depth": (10, 40)}),
    ),
    "batch-slows-native-only": (rising(1.5, 1.0), rising(1.5, 1.6), rising(1.01, 1.0), ONLY_TORCH),
    "gain-grows-with-batch": (rising(1.5, 1.0), rising(1.0, 1.5), rising(1.2, 1.2), ONLY_TORCH),
    "gpu-gains-most": (
        gains(lambda backend, **_: 8 if backend == "openvino-gpu" else 3, DEPTHS, backends=ALL),
        gains(lambda backend, **_: 2 if backend == "openvino-gpu" else 3, DEPTHS, backends=ALL),
        gains(lambda **_: 3, DEPTHS, backends=ALL),
        gains(lambda **_: 3, DEPTHS),
    ),
    "flops-fail-across-patterns": (
        times(lambda network, **_: 5.0 if network == "dwbottleneck" else 1.0, DEPTHS),
        times(lambda **_: 1.0, DEPTHS),
        times(lambda network, **_: 2.03 if network == "dwbottleneck" else 1.0, DEPTHS),
        times(lambda **_: 1.0, DEPTHS, network=("standard", "grouped")),
    ),
    "flops-predict-over-width": (
        power(lambda *_: 2),
        times(lambda width, **_: 1 / width, WIDTHS),
        # r of the logs is 0.89 by scipy.stats.pearsonr
        times(lambda width, **_: {32: 1.0, 64: 2.0, 512: 2.83}[width], WIDTHS),
        power(lambda *_: 2, {"width": (32, 64), "depth": (10,)}),
    ),
    "bottleneck-loses-when-wide": (
        gains(lambda network, **_: 5 if network == "standard" else 3, WIDTHS),
        gains(lambda network, **_: 2 if network == "standard" else 3, WIDTHS),
        gains(lambda **_: 3, WIDTHS),
        gains(lambda **_: 3, WIDTHS, network=("standard",)),
    ),
    "width-scaling": (
        power(lambda _, network: 2 if network in STEEP else 1),
        power(lambda _, network: 1 if network in STEEP else 2),
        power(lambda *_: 1.5),
        ONLY_TORCH,
    ),
    "standard-needs-gpu": (
        power(lambda backend, _: 1 if backend == "openvino-gpu" else 2, backends=ALL),
        power(lambda backend, _: 2 if backend == "openvino-gpu" else 1, backends=ALL),
        power(lambda *_: 2, backends=ALL),
        power(lambda *_: 2),
    ),
    "cpu-on-a-par-with-gpu": (
        gains(lambda **_: 3, WIDTHS, backends=ALL),
        gains(lambda backend, **_: 6 if backend == "openvino-gpu" else 3, WIDTHS, backends=ALL),
        gains(lambda backend, **_: 3.75 if backend == "openvino-gpu" else 3, WIDTHS, backends=ALL),
        gains(lambda **_: 3, WIDTHS),
    ),
    "misses-fall": (
        counts(lambda **_: 4, DEPTHS),
        counts(lambda network, **_: 0.5 if network == "grouped" else 4, DEPTHS),
        counts(lambda **_: 1.05, DEPTHS),
        gains(lambda **_: 3, DEPTHS),
    ),
    "misses-tenfold": (
        counts(lambda **_: 10, DEPTHS),
        counts(lambda **_: 3, DEPTHS),
        counts(lambda **_: 7.1, DEPTHS),
        gains(lambda **_: 3, DEPTHS),
    ),
    "misses-fall-less-with-width": (
        both_falls(10, 3),
        both_falls(3, 10),
        both_falls(5, 5),
        counts(lambda **_: 9, DEPTHS),
    ),
    "gpu-misses-more-but-faster": (
        gpu_and_cpu(3, 0.5),
        gpu_and_cpu(3, 2),
        gpu_and_cpu(1.05, 0.5),
        counts(lambda **_: 9, DEPTHS),
    ),
    "f16-gains-nothing-on-cpu": (half_precision(1.0), half_precision(1.9), half_precision(1.1), ONLY_TORCH),
    "relu-fused": (
        kernels(20, {"Reorder jit_uni_f32": 2}),
        kernels(20, {"Eltwise jit_avx2_f32": 11}),
        kernels(20, {"Eltwise jit_avx2_f32": 3}),
        kernels(20, {}, relus=0),
    ),
    "layouts-reordered": (
        kernels(20, {"Reorder jit_uni_f32": 2}),
        kernels(0, {"Reorder jit_uni_f32": 2}),
        kernels(20, {"Reorder jit_uni_f32": 5}),
        ONLY_TORCH,
    ),
    "networks-gain": (
        networks(lambda _: 4),
        networks(lambda name: 1.5 if name == "resnet18" else 4),
        networks(lambda _: 2.5),
        ONLY_TORCH,
    ),
    "mobilenetv2-fastest": (
        networks(lambda _: 4),
        networks(lambda _: 4, seconds=lambda name: 3.0 if name == "mobilenetv2" else 1.0),
        networks(lambda _: 4, seconds=lambda _: 1.0),
        ONLY_TORCH,
    ),
    "mobilenetv2-gain": (networks(lambda _: 9), networks(lambda _: 6), networks(lambda _: 7.5), ONLY_TORCH),
    "darts-gains-most": (
        networks(lambda name: 12 if name == "darts" else 4),
        networks(lambda name: 3 if name == "darts" else 4),
        networks(lambda _: 4),
        ONLY_TORCH,
    ),
    "darts-gain": (networks(lambda _: 14), networks(lambda _: 6), networks(lambda _: 12.5), ONLY_TORCH),
    "darts-gain-over-onednn": (
        networks(lambda _: 9, onednn=5.5),
        networks(lambda _: 9, onednn=2),
        networks(lambda _: 9, onednn=7.5),
        networks(lambda _: 9),
    ),
    "network-follows-pattern": (
        networks(by_pattern, patterns=FOLLOWING),
        networks(lambda name: 10 - by_pattern(name), patterns=FOLLOWING),
        # rho is 0.46 by scipy.stats.spearmanr
        networks(
            lambda name: {"resnet18": 8, "resnet34": 3, "mobilenetv2": 6, "nasnet-large": 4}.get(
                name, by_pattern(name)
            ),
            patterns=FOLLOWING,
        ),
        networks(by_pattern),
    ),
}

CASES = [
    (name, verdict, fill)
    for name, fills in SCENARIOS.items()
    for verdict, fill in zip(VERDICTS, fills, strict=True)
]


@pytest.mark.parametrize("name,verdict,fill", CASES, ids=[f"{name}-{verdict}" for name, verdict, _ in CASES])
def test_claim_gives_each_verdict(make, name, verdict, fill):
    fill(make)
    found = CLAIMS[name].test(Data(make.made))
    assert found.verdict == verdict, found
    if verdict == "not measured":
        assert found.remark
        assert not found.figures
    else:
        assert found.figures


def test_every_claim_has_scenarios_a_method_and_the_papers_figures():
    assert set(SCENARIOS) == set(CLAIMS)
    assert all(each.method and each.paper and each.where for each in CLAIMS.values())


def test_speed_up_of_a_point_in_numbers(make):
    """PyTorch 80 ms, OpenVINO 20 ms: 4x, with nothing in between to widen it (spread 0)."""
    make.grid(lambda backend, **_: 0.080 if backend == "torch" else 0.020, depth=(10, 50))
    found = CLAIMS["mean-gain"].test(Data(make.made))
    assert found.figures[0].value == pytest.approx(4.0)
    assert "380% as a ratio" in found.remark


def test_both_readings_of_a_percentage():
    """380% is 3.8x, or 4.8x if 380% is what was added."""
    assert percentage(Estimate(5, 4.9, 5.1), 380)[0] == "holds"
    assert percentage(Estimate(4, 3.9, 4.1), 380) == (
        "inconclusive",
        "above 3.8x (380% as a ratio), below 4.8x (380% as what was gained)",
    )
    assert percentage(Estimate(7, 4.5, 9), 380) == (
        "inconclusive",
        "above 3.8x (380% as a ratio), not clear of 4.8x (380% as what was gained)",
    )
    assert percentage(Estimate(3, 2.9, 3.1), 380)[0] == "doesn't"


def test_a_statement_on_all_patterns_cannot_hold_on_some(make):
    gains(lambda **_: 3, DEPTHS, network=("standard", "grouped"))(make)
    found = CLAIMS["acceleration-helps"].test(Data(make.made))
    assert found.verdict == "inconclusive"
    assert "not measured: factorized, bottleneck, dwseparable, dwbottleneck" in found.remark


def test_the_reason_for_no_gpu_is_given(make):
    gains(lambda **_: 3, DEPTHS)(make)
    make.failed("there is no GPU device", backend="openvino-gpu")
    found = CLAIMS["gpu-gains-most"].test(Data(make.made))
    assert found.remark == "the GPU was not measured: there is no GPU device"


def test_networks_that_fit_in_the_llc_have_no_misses_to_lower(make):
    """Below 1% of their lines (64 bytes of 6.4 million bytes: 100,000 lines), misses are chance."""
    size = {"parameter_bytes": 0, "activation_bytes": 6_400_000}
    for depth in (10, 50):
        make.counted({"paper": 40}, depth=depth, **size)
        make.counted({"paper": 90}, depth=depth, backend="openvino-cpu", **size)
    assert CLAIMS["misses-fall"].test(Data(make.made)).verdict == "not measured"


def test_hardware_counts_come_before_simulated_ones(make):
    """A machine with counters is judged by them, whatever was simulated beside."""
    counts(lambda **_: 0.2, DEPTHS)(make)
    make.grid(lambda **_: None, depth=(10, 50))
    for record in list(make.made):
        number = 900 if record.backend == "torch" else 100
        make.counted(
            {None: number},
            source="hardware",
            network=record.network,
            depth=record.depth,
            backend=record.backend,
        )
    found = CLAIMS["misses-tenfold"].test(Data(make.made))
    assert (found.verdict, found.remark) == ("holds", "LLC misses counted by the hardware")
    assert found.figures[0].value == pytest.approx(9)


def test_advice_follows_the_claims(make):
    gains(lambda network, **_: 6 if network == "dwbottleneck" else 3, DEPTHS)(make)
    results = check(make.made)
    support = {each.text.split(":")[0].split(" where")[0]: each.support for each in advise(results)}
    assert support["Prefer depthwise bottlenecks"] == "in part"  # gains most; MobileNetV2 was not measured
    assert support["Wide standard convolutions want a GPU."] == "open"
    assert {name for each in advise(results) for name in each.claims} <= set(CLAIMS)


@pytest.mark.parametrize(
    "verdict,support", [("holds", "supported"), ("doesn't", "not supported"), ("inconclusive", "open")]
)
def test_advice_of_claims_that_agree(make, verdict, support):
    make.timed(1.0)
    agreeing = [replace(each, finding=replace(each.finding, verdict=verdict)) for each in check(make.made)]
    assert {each.support for each in advise(agreeing)} == {support}


def test_results_are_json_without_infinities(make):
    counts(lambda **_: 4, DEPTHS)(make)
    text = json.dumps([each.to_dict() for each in check(make.made)], allow_nan=False)
    assert json.loads(text)[0]["verdict"] in VERDICTS
