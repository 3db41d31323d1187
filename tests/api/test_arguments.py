"""What the functions make of their arguments, a plan or a refusal; nothing is measured."""

from __future__ import annotations

import pytest
import torch

import formfn_profile as ff
from formfn_profile import api
from formfn_profile.errors import MeasurementError, NetworkError, UnknownNameError


@pytest.fixture(autouse=True)
def plan(monkeypatch):
    """The plans that would have been carried out."""
    plans = []
    monkeypatch.setattr(api, "_carry_out", lambda plan, *_, **__: plans.append(plan))
    return plans


def asked(plan):
    return [(str(p.spec), p.spec.batch, p.backend, p.threads, p.precision) for p in plan.points]


class Net(torch.nn.Module):
    def forward(self, x):
        return x.sum(1)


def test_a_module_goes_with_its_inputs_to_both_backends(plan):
    ff.measure(Net(), torch.zeros(2, 3, dtype=torch.int64), counters="none")
    assert asked(plan[0]) == [
        ("Net batch 2", 2, "torch", 1, "f32"),
        ("Net batch 2", 2, "openvino-cpu", 1, "f32"),
    ]
    fields = plan[0].points[0].fields()
    assert (fields["network"], fields["inputs"], fields["pattern"]) == ("Net", ("2x3:i64",), None)
    assert len(fields["digest"]) == 64


def test_a_packed_module_is_the_one_that_was_given():
    """Weights, inputs and code arrive; in evaluation mode, while the user's own stays as it is."""
    from formfn_profile import live, preparation

    model, x = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5)), torch.randn(1, 3)
    spec = live.pack(model, [x])
    built = preparation.built(spec)
    assert not built.module.training
    assert model.training
    assert torch.equal(built.inputs[0], x)
    assert torch.equal(built.module(x), model[0](x))


def test_the_same_module_is_the_same_point_and_other_weights_another():
    """What resuming and pairing go by."""
    from formfn_profile import live

    model = torch.nn.Linear(3, 2)
    first, again = (live.pack(model, ["1x3"]) for _ in range(2))
    assert first == again
    assert hash(first) == hash(again)
    with torch.no_grad():
        model.weight.add_(1)
    assert live.pack(model, ["1x3"]) != first
    assert live.pack(model, ["2x3"]) != again


def test_names_patterns_specs_and_points_mix(plan):
    spec = ff.PatternSpec("grouped", 2, 16, 8)
    point = ff.Point(spec, "torch", 2)
    ff.measure(["resnet18", "dwbottleneck", spec], backends="torch", threads=2, counters="none")
    ff.measure([point], counters="none")
    assert asked(plan[0]) == [
        ("resnet18", 1, "torch", 2, "f32"),
        ("dwbottleneck depth 10", 1, "torch", 2, "f32"),
        ("grouped depth 2", 1, "torch", 2, "f32"),
    ]
    assert plan[1].points == (point,)


def test_the_grid_of_a_study_is_that_of_the_command(plan):
    """The same points in the same order as `formfn-profile study` with the same words."""
    from formfn_profile import study_command

    ff.study(
        patterns="all",
        models=["resnet18"],
        depths=[1, 2],
        widths=[32, 64],
        batches=[1, 8],
        backends=["torch", "openvino-cpu"],
        precisions=["f32", "bf16"],
        threads=[1, 2],
        counters="none",
    )
    words = "--pattern all --model resnet18 --depths 1,2 --widths 32,64 --batches 1,8 --threads 1,2"
    options = study_command.parser().parse_args([*words.split(), "--precisions", "f32,bf16"])
    assert plan[0].points == study_command._points(options)
    assert len(plan[0].points) == (6 * 2 * 2 * 2 + 2) * 8
    assert plan[0].protocol == ff.Protocol(
        options.calls, options.seconds, warmup_seconds=options.warmup_seconds
    )


def test_how_it_is_counted_and_timed_arrives(plan):
    short = ff.Protocol(calls=3, seconds=0)
    ff.measure(
        "grouped", cache="paper,8M/16", isa="avx2", protocol=short, processes=3, time_limit=9, curve=True
    )
    ff.layers("grouped", calls=7, cache="paper")
    assert [each.name for each in plan[0].processors] == ["paper", "8M/16"]
    assert (plan[0].counters, plan[0].isa, plan[0].protocol) == ("simulated", "avx2", short)
    assert (plan[0].processes, plan[0].time_limit, plan[0].settings.curve) == (3, 9, True)
    assert (plan[1].layers, plan[1].counters) == (7, "simulated")


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: ff.measure(Net()), NetworkError, "give the inputs of Net"),
        (lambda: ff.measure(Net(), "1x"), NetworkError, "cannot read the input '1x'"),
        (lambda: ff.measure(Net(), torch.zeros(1, dtype=torch.int16)), NetworkError, "an input is int16"),
        (lambda: ff.measure(Net(), "1x3", name="resnet18"), NetworkError, "name of a network of ours"),
        (lambda: ff.measure(Net, "1x3"), NetworkError, "cannot measure <class .*not its class"),
        (lambda: ff.measure(7), NetworkError, "cannot measure 7: give"),
        (lambda: ff.measure("mynet:make", torch.zeros(1, 3)), NetworkError, "takes shapes of inputs"),
        (lambda: ff.measure("resnet19"), UnknownNameError, "Did you mean resnet18"),
        (lambda: ff.measure(ff.PatternSpec("grouped"), "1x3"), NetworkError, "says its inputs itself"),
        (
            lambda: ff.measure(ff.Point(ff.PatternSpec("grouped"), "torch"), backends=["torch"]),
            MeasurementError,
            "a Point says its backends itself",
        ),
        (lambda: ff.measure("grouped", counters="hardware", cache="paper"), MeasurementError, "Leave one"),
        (lambda: ff.measure("grouped", counters="none", cache="paper"), MeasurementError, "Leave one"),
        (lambda: ff.measure("grouped", precision="f8"), MeasurementError, "no precision 'f8'; there is: f32"),
        (ff.study, MeasurementError, "name patterns or models"),
        (lambda: ff.study(patterns="groped"), UnknownNameError, "Did you mean grouped"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_flops_of_a_module_and_of_a_pattern():
    """2 x 3 x 5 multiply-adds; the pattern's closed form (tests/networks/test_patterns.py holds it)."""
    model = torch.nn.Linear(5, 3)
    assert ff.count_flops(model, torch.zeros(2, 5)).flops == 2 * ff.count_flops(model, "2x5").macs == 60
    spec = ff.PatternSpec("grouped", 2, 16, 8)
    assert ff.count_flops(spec).macs == ff.patterns.macs(spec)
    assert model.training  # left as it was
