"""Operations of modules, by shapes alone: kinds, work and bytes by arithmetic; patterns in closed form."""

from __future__ import annotations

import pytest
import torch
from function_module import Call
from torch import nn
from torch.nn import functional as F

from formfn_profile import errors, networks, operations, patterns
from formfn_profile.advisor import advise
from formfn_profile.operations import Operation
from formfn_profile.patterns import PatternSpec

X = torch.zeros(1, 8, 6, 6)  # 288 values
IMAGE = 4 * 288  # its bytes

# What one layer is: kind, multiply-accumulates, bytes read (with weights), bytes written.
LAYERS = {
    "3x3": (nn.Conv2d(8, 4, 3, padding=1, bias=False), ("convolution", 10_368, IMAGE + 4 * 288, 576)),
    "1x1": (nn.Conv2d(8, 4, 1, bias=False), ("pointwise", 1_152, IMAGE + 4 * 32, 576)),
    "two groups": (nn.Conv2d(8, 8, 3, groups=2, bias=False), ("grouped", 4_608, IMAGE + 4 * 288, 512)),
    "1x1 in groups": (nn.Conv2d(8, 8, 1, groups=4, bias=False), ("grouped", 576, IMAGE + 4 * 16, IMAGE)),
    "a group a channel": (
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        ("depthwise", 1_152, IMAGE + 4 * 72, 512),
    ),
    "its bias": (nn.Conv2d(8, 4, 1), ("pointwise", 1_152, IMAGE + 4 * 36, 576)),
    "batch norm": (nn.BatchNorm2d(8), ("normalisation", 0, IMAGE + 4 * 32, IMAGE)),
    "ReLU": (nn.ReLU(), ("activation", 0, IMAGE, IMAGE)),
    "ReLU in place": (nn.ReLU(inplace=True), ("activation", 0, IMAGE, IMAGE)),
    "pool": (nn.AvgPool2d(6), ("other", 0, IMAGE, 32)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_single_layers(name):
    layer, expected = LAYERS[name]
    assert operations.of_module(layer.eval(), [X]) == (Operation(*expected),)


def test_tensors_in_lists_count_and_views_do_not():
    """Concatenated along channels: both read, both written; the sum of two reads twice what it writes."""
    model = Call(lambda x: torch.cat([x, x], 1).flatten(1).t())
    assert operations.of_module(model, [X]) == (Operation("other", 0, 2 * IMAGE, 2 * IMAGE),)
    assert operations.of_module(Call(lambda x: x + x), [X]) == (Operation("addition", 0, 2 * IMAGE, IMAGE),)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", patterns.PATTERNS)
def test_a_pattern_in_closed_form_is_what_pytorch_runs(name, batch):
    """Operation by operation, and together the pattern's closed form of multiply-accumulates."""
    spec = PatternSpec(name, depth=2, width=16, resolution=9, batch=batch)
    found = operations.of_pattern(spec)
    assert found == operations.of_module(patterns.build(spec), [patterns.example_input(spec)])
    assert sum(each.macs for each in found) == patterns.macs(spec)


def test_an_expanded_pattern_too():
    spec = PatternSpec("dwbottleneck", depth=1, width=8, resolution=9, expansion=6)
    assert operations.of_pattern(spec) == operations.of_module(
        patterns.build(spec), [patterns.example_input(spec)]
    )


def test_the_module_is_left_as_it_was_and_may_be_shapes_alone():
    model = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)).eval()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    found = operations.of_module(model, [X])
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    with torch.device("meta"):
        shapes = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)).eval()
    assert operations.of_module(shapes, [X]) == found


def test_what_depends_on_values_is_refused():
    model = Call(lambda x: x if x.sum() > 0 else F.relu(x))
    with pytest.raises(errors.NetworkError, match="operations of Call cannot be told without running it"):
        operations.of_module(model, [X])


def test_an_outline_is_the_network_without_its_weights():
    """Multiply-accumulates as published (tests/networks/test_networks.py has the sources)."""
    pytest.importorskip("pytorchcv", reason="pip install 'formfn-profile[networks]'")
    model = networks.outline("mobilenetv2")
    assert all(each.is_meta for each in model.parameters())
    found = operations.of_module(model, [torch.empty(1, 3, 224, 224)])
    assert sum(each.macs for each in found) == 300_774_272
    kinds = [each.kind for each in found]
    assert (kinds.count("depthwise"), kinds.count("addition")) == (17, 10)  # Sandler et al. 2018, table 2


@pytest.mark.slow
def test_a_model_is_predicted_in_any_form(make_machine):
    """A pattern by its specification, its name or as a module; a named network; nothing else."""
    spec = PatternSpec("grouped")
    one, by_name, module = (
        make_machine.predict(spec, backend="torch"),
        make_machine.predict("grouped", backend="torch"),
        make_machine.predict(patterns.build(spec), "1x3x112x112", backend="torch"),
    )
    assert one == by_name == module
    twice = make_machine.rank(
        [patterns.build(spec)], 1e3, backend="torch", inputs=patterns.example_input(spec)
    )
    assert (twice[0].name, twice[0].prediction) == ("Sequential", one)
    with pytest.raises(errors.NetworkError, match=r"give a torch\.nn\.Module"):
        make_machine.predict(nn.ReLU, backend="torch")
    with pytest.raises(errors.NetworkError, match="takes shapes of inputs"):
        make_machine.predict("resnet18", X, backend="torch")


@pytest.fixture
def make_machine():
    """Advice from records of a machine that takes 20 ps a multiply-accumulate."""
    from formfn_profile.results import Record

    specs = [PatternSpec(name, 2, width, 28) for name in patterns.PATTERNS for width in (32, 64, 128)]
    return advise(
        [
            Record(
                status="ok",
                run_id="made-up",
                time="2026-01-01T00:00:00+00:00",
                launcher="native",
                network=each.pattern,
                pattern=each.pattern,
                depth=each.depth,
                width=each.width,
                resolution=each.resolution,
                backend="torch",
                precision="f32",
                threads=1,
                latency_s=(2e-11 * patterns.macs(each),) * 6,
            )
            for each in specs
        ]
    )
