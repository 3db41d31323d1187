"""The six patterns: their MACs, their outputs in two frameworks, what they refuse."""

import dataclasses
import pickle

import pytest
import torch

from formfn_profile import flops, patterns
from formfn_profile.errors import PatternError, UnknownPatternError
from formfn_profile.patterns import PatternSpec

# MACs a pixel of one block, worked out by hand from the block's convolutions (e.g. grouped at 32: 8 groups
# of 4 channels to 4, each 3x3: 8 x 4 x 4 x 9 = 1152).
BLOCK_MACS = {
    ("standard", 32): 9216,
    ("standard", 64): 36864,
    ("factorized", 32): 6144,
    ("factorized", 64): 24576,
    ("bottleneck", 32): 1088,
    ("bottleneck", 64): 4352,
    ("dwseparable", 32): 1312,
    ("dwseparable", 64): 4672,
    ("dwbottleneck", 32): 584,
    ("dwbottleneck", 64): 2192,
    ("grouped", 32): 1152,
    ("grouped", 64): 4608,
}
STEM_MACS = {32: 864, 64: 1728}  # 3x3 over 3 channels: 27 a channel
HEAD_MACS = {32: 320, 64: 640}
RESOLUTION = 16

GRID = [
    pytest.mark.parametrize("pattern", list(patterns.PATTERNS)),
    pytest.mark.parametrize("depth", [10, pytest.param(30, marks=pytest.mark.slow)]),
    pytest.mark.parametrize("width", [32, 64]),
]


def on_grid(test):
    for each in GRID:
        test = each(test)
    return test


@pytest.fixture
def network():
    def build(pattern, depth, width, **more):
        spec = PatternSpec(pattern, depth, width, RESOLUTION, **more)
        return spec, patterns.build(spec)

    return build


def test_the_patterns_and_their_order():
    """Issue 3's table."""
    assert list(patterns.PATTERNS) == [
        "standard",
        "factorized",
        "bottleneck",
        "dwseparable",
        "dwbottleneck",
        "grouped",
    ]


@pytest.mark.slow
@on_grid
def test_macs_are_the_closed_form_and_the_hand_computed(network, pattern, depth, width):
    spec, model = network(pattern, depth, width)
    by_hand = 256 * (STEM_MACS[width] + depth * BLOCK_MACS[pattern, width]) + HEAD_MACS[width]
    counted = flops.count(model, patterns.example_input(spec))
    assert (patterns.macs(spec), counted.macs, counted.flops) == (by_hand, by_hand, 2 * by_hand)


class Both(torch.nn.Module):
    """A pattern's output before pooling, flattened, then its output after: one run gives both."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        features = self.model.features(x)
        return torch.cat([features.flatten(1), self.model.head(self.model.pool(features).flatten(1))], 1)


@pytest.fixture
def errors_of(error_of):
    """Return max|a - b| / max|b| before pooling and after it."""

    def errors(a, b):
        return [error_of(a[:, part], b[:, part]) for part in (slice(-10), slice(-10, None))]

    return errors


@pytest.mark.slow
@on_grid
def test_pytorch_and_openvino_agree_and_inputs_matter(network, session_of, errors_of, pattern, depth, width):
    """Before and after pooling: the two frameworks within 1e-4 of max|a|, two inputs apart by over 10%."""
    spec, model = network(pattern, depth, width)
    x, other = patterns.example_input(spec), patterns.example_input(spec, seed=1)
    ours, theirs = (session_of(name, Both(model), x) for name in ("torch", "openvino-cpu"))
    first = ours.output()
    assert max(errors_of(theirs.output(), first)) < 1e-4
    for session in (ours, theirs):
        session.set_input(other.numpy())
        session.infer()
    assert max(errors_of(theirs.output(), ours.output())) < 1e-4
    assert min(errors_of(ours.output(), first)) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("pattern", list(patterns.PATTERNS))
def test_one_perturbed_weight_in_a_middle_layer_fails_the_check(network, session_of, errors_of, pattern):
    """The comparison can fail: one weight moved by the layer's largest shows before pooling and after."""
    spec, model = network(pattern, 10, 64)
    x = patterns.example_input(spec)
    before = session_of("openvino-cpu", Both(model), x).output()
    middle = next(m for m in model.features.block5.modules() if isinstance(m, torch.nn.Conv2d))
    with torch.no_grad():
        middle.weight.flatten()[0] += middle.weight.abs().max()
    assert min(errors_of(before, session_of("torch", Both(model), x).output())) > 1e-4


def test_weights_are_the_seeds_and_nothing_else(network):
    """Equal specs give equal weights, another seed others; the global random state is left alone."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    _, one = network("grouped", 2, 32)
    assert torch.equal(torch.rand(1), expected)
    _, same = network("grouped", 2, 32)
    _, other = network("grouped", 2, 32, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.features.stem[0].weight, other.features.stem[0].weight)


def test_batch_does_not_change_the_weights_and_multiplies_the_macs(network):
    spec, model = network("dwseparable", 2, 32)
    three, batched = network("dwseparable", 2, 32, batch=3)
    assert patterns.macs(three) == 3 * patterns.macs(spec)
    assert flops.count(batched, patterns.example_input(three)).macs == patterns.macs(three)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), batched.parameters(), strict=True))


@pytest.mark.parametrize("depth", [1, 50])
def test_the_signal_neither_dies_nor_explodes(network, depth):
    """Every channel varies, and none is far from the stem's scale (batch norm: 1; ReLU cuts some off)."""
    for pattern in patterns.PATTERNS:
        spec, model = network(pattern, depth, 32)
        with torch.inference_mode():
            features = model.features(patterns.example_input(dataclasses.replace(spec, batch=8)))
        assert features.std(dim=(0, 2, 3)).min() > 0.05
        assert 0.2 < features.std() < 5


def test_expansion_widens_as_mobilenetv2_does(network):
    """Six-fold, C = 32: 1x1 to 192 (6144), depthwise 3x3 (1728), 1x1 back (6144); so 14016 MACs a pixel."""
    spec, model = network("dwbottleneck", 1, 32, expansion=6)
    assert patterns.macs(spec) == 256 * (864 + 14016) + 320
    assert flops.count(model, patterns.example_input(spec)).macs == patterns.macs(spec)
    assert model.features.block1[3].groups == 192


def test_width_with_expansion_need_not_divide():
    assert PatternSpec("dwbottleneck", width=30, expansion=2).width == 30


@pytest.mark.parametrize(
    "pattern,width,nearest",
    [
        ("grouped", 30, "multiple of 8. Nearest: 24 and 32"),
        ("grouped", 5, "multiple of 8. Nearest: 8"),
        ("bottleneck", 63, "multiple of 4. Nearest: 60 and 64"),
        ("dwbottleneck", 66, "multiple of 4. Nearest: 64 and 68"),
    ],
)
def test_a_width_that_does_not_divide_names_the_nearest(pattern, width, nearest):
    with pytest.raises(PatternError) as caught:
        PatternSpec(pattern, width=width)
    assert f"cannot have width {width}" in str(caught.value)
    assert str(caught.value).endswith(nearest)


@pytest.mark.parametrize("field", ["depth", "width", "resolution", "batch"])
def test_sizes_start_at_one(field):
    with pytest.raises(PatternError, match=f"{field} 0: it must be 1 or more"):
        PatternSpec("standard", **{field: 0})


def test_only_dwbottleneck_takes_an_expansion():
    with pytest.raises(
        PatternError, match="standard takes no expansion, but 6 was given; it is for dwbottleneck"
    ):
        PatternSpec("standard", expansion=6)


def test_an_unknown_pattern_names_the_nearest_and_survives_pickling():
    with pytest.raises(UnknownPatternError) as caught:
        PatternSpec("dwbottelneck")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert "no pattern 'dwbottelneck'. Did you mean dwbottleneck? There is: standard," in str(copy)
    assert copy.name == "dwbottelneck"
