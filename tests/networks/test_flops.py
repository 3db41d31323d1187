"""FLOPs of single layers, against numbers that three independent counters and arithmetic gave."""

import pytest
import torch
from function_module import Call
from torch import nn
from torch.nn import functional as F

from formfn_profile import flops

X = torch.zeros(1, 4, 16, 16)


class Twice(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(self.inner(x))


# By arithmetic: output pixels (transposed: input pixels) x kernel x channels in a group x channels out.
SINGLE_LAYERS = {
    "conv 3x3": (nn.Conv2d(4, 8, 3, padding=1, bias=False), 73_728),
    "conv 3x3 with bias": (nn.Conv2d(4, 8, 3, padding=1), 73_728),
    "stride 2": (nn.Conv2d(4, 8, 3, padding=1, stride=2), 18_432),
    "2 groups": (nn.Conv2d(4, 8, 3, padding=1, groups=2), 36_864),
    "depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4), 9_216),
    "dilated depthwise": (nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4), 9_216),
    "transposed": (nn.ConvTranspose2d(4, 8, 2, stride=2), 32_768),
    "transposed, 2 groups": (nn.ConvTranspose2d(4, 8, 2, stride=2, groups=2), 16_384),
    "functional": (Call(lambda x: F.conv2d(x, torch.zeros(8, 4, 3, 3), padding=1)), 73_728),
    "x @ w": (Call(lambda x: x.flatten(1) @ torch.zeros(1024, 6)), 6_144),
    "a vector @": (Call(lambda x: torch.zeros(6, 1024) @ x.flatten()), 6_144),
    "einsum": (Call(lambda x: torch.einsum("bchw,cd->bdhw", x, torch.zeros(4, 6))), 6_144),
    "called twice": (Twice(nn.Conv2d(4, 4, 1)), 8_192),
    "in inference mode": (Call(torch.inference_mode()(nn.Conv2d(4, 8, 3, padding=1).forward)), 73_728),
}


@pytest.mark.parametrize("name", SINGLE_LAYERS)
def test_single_layers(name):
    model, macs = SINGLE_LAYERS[name]
    counted = flops.count(model, X)
    assert (counted.macs, counted.flops) == (macs, 2 * macs)
    assert sum(counted.by_operator.values()) == macs


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_4_b_h_l2_d_flops(masked):
    """4·B·H·L²·D FLOPs; PyTorch's own counter gives 0 for it on the CPU."""
    b, h, length, d = 2, 3, 8, 16
    q = torch.zeros(b, h, length, d)
    mask = torch.ones(length, length) if masked else None
    counted = flops.count(Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask)), q, q, q)
    assert counted.flops == 4 * b * h * length**2 * d


def test_conventionally_uncounted_operations_are_named():
    """Batch norm, ReLU, addition and pooling are 0 MACs by convention, and said to be uncounted."""
    model = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), Call(lambda x: x + 1), nn.AvgPool2d(2)).eval()
    counted = flops.count(model, X)
    assert counted.macs == 0
    assert counted.uncounted == {
        "aten._native_batch_norm_legit_no_training": 1,
        "aten.relu": 1,
        "aten.add": 1,
        "aten.avg_pool2d": 1,
    }
    assert counted.by_module["1"].uncounted == {"aten.relu": 1}
    assert counted.share("1") is None


def test_a_recurrent_layer_without_a_formula_is_named_not_zero():
    counted = flops.count(nn.LSTM(4, 4), torch.zeros(2, 1, 4))
    assert counted.macs or counted.uncounted


def test_modules_form_a_tree_with_shares():
    """A module's MACs are its children's sum: 73,728 and 8 x 8 x 256 = 16,384."""
    model = nn.Sequential(nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU()), nn.Conv2d(8, 8, 1))
    counted = flops.count(model, X)
    assert {path: each.macs for path, each in counted.by_module.items()} == {
        "": 90_112,
        "0": 73_728,
        "0.0": 73_728,
        "0.1": 0,
        "1": 16_384,
    }
    assert counted.share("1") == 16_384 / 90_112
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks


def test_parameters_and_bytes():
    """Shared parameters once. Written: the convolution's and the ReLU's 8 x 256 floats; the view nothing."""
    layer = nn.Conv2d(4, 8, 3, padding=1)
    shared = nn.Conv2d(4, 8, 3, padding=1)
    shared.weight = layer.weight
    assert flops.count(nn.ModuleList([layer, shared]).append(Call(lambda x: x))[2], X).parameters == 0
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten())
    counted = flops.count(model, X)
    assert (counted.parameters, counted.parameter_bytes) == (296, 1184)
    assert counted.activation_bytes == 2 * 8 * 256 * 4
    in_place = nn.Sequential(layer, nn.ReLU(inplace=True))
    assert flops.count(in_place, X).activation_bytes == 8 * 256 * 4


def test_users_extend_the_registry(monkeypatch):
    """An entry is a function of (arguments, keyword arguments, result) that returns MACs."""
    monkeypatch.setitem(flops.FORMULAS, "aten.relu", lambda _arguments, _options, out: out.numel())
    counted = flops.count(nn.ReLU(), X)
    assert (counted.macs, counted.uncounted) == (1024, {})
