"""bf16 and int8: what runs in it is told by what ran, is as far off as its bits explain, or is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from formfn_profile import backends
from formfn_profile.backends import openvino_cpu, openvino_graph, quantization, torch_cpu
from formfn_profile.backends.openvino_graph import Layer
from formfn_profile.errors import BackendError, UnavailableError
from formfn_profile.live import pack
from formfn_profile.preparation import EXAMPLES, Form, Preparer, examples

HAS_BF16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
SIDE, INPUTS, OUTPUTS = 16, 3, 16
CONVOLUTION_MACS = SIDE * SIDE * OUTPUTS * INPUTS * 3 * 3

UNDER_VALGRIND = """
import sys
from pathlib import Path
from formfn_profile import backends
from formfn_profile.errors import BackendError, UnavailableError
plain, quantized = map(Path, sys.argv[1:])
backend = backends.get("openvino-cpu")
try:
    print(backend.load(plain, threads=1, precision="bf16").facts()["precision"])
except UnavailableError as error:
    print(error)
facts = backend.load(quantized, threads=1, precision="int8").facts()
print(facts["precision"], facts["isa"], facts["operations"]["int8"])
"""


class Two(nn.Module):
    """A convolution, which OpenVINO has in int8, then a softmax, which it has not; outputs of both."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(INPUTS, OUTPUTS, 3, padding=1)

    def forward(self, x):
        y = self.convolution(x)
        return y, torch.softmax(y, 1)


@pytest.fixture(scope="module")
def two():
    torch.manual_seed(0)
    return Two().eval(), torch.randn(1, INPUTS, SIDE, SIDE)


@pytest.fixture(scope="module")
def forms(two, tmp_path_factory):
    """The two layers as they are, and in int8, calibrated on their one input."""
    plain = backends.get("openvino-cpu").prepare(*two, tmp_path_factory.mktemp("two"))
    return plain, quantization.quantize(plain, [(two[1],)])


def operations_of(path):
    import openvino as ov

    return ov.Core().read_model(path).get_ops()


@pytest.mark.slow
def test_nncf_quantizes_the_input_and_the_weights_of_the_convolution(forms):
    """One FakeQuantize, of the input; weights are an i8 constant; the softmax takes what it took."""
    plain, quantized = (operations_of(path) for path in forms)
    assert [each for each in plain if each.get_type_name() == "FakeQuantize"] == []
    assert sum(each.get_type_name() == "FakeQuantize" for each in quantized) == 1
    narrow = (each for each in quantized if each.get_element_type().get_type_name() == "i8")
    assert (OUTPUTS, INPUTS, 3, 3) in [tuple(each.get_output_shape(0)) for each in narrow]


@pytest.mark.slow
def test_the_operations_that_run_in_int8_are_told(forms):
    """The convolution alone, whose MACs are a closed form; in f32 the softmax and quantizing the input."""
    facts = backends.get("openvino-cpu").load(forms[1], threads=1, precision="int8").facts()
    assert facts["precision"] == "int8"
    assert facts["operations"] == {"int8": 1, "f32": 2}
    assert facts["operation_macs"] == {"int8": CONVOLUTION_MACS}
    plain = backends.get("openvino-cpu").load(forms[0], threads=1).facts()
    assert (plain["precision"], plain["operations"]) == ("f32", {"f32": 2})
    assert plain["operation_macs"] == {"f32": CONVOLUTION_MACS}


@pytest.mark.slow
def test_what_ran_is_told_whatever_was_asked_for(forms):
    """A network that was never quantized runs in f32, one that was in int8: execution refuses both."""
    load = backends.get("openvino-cpu").load
    assert load(forms[0], threads=1, precision="int8").facts()["precision"] == "f32"
    assert load(forms[1], threads=1, precision="f32").facts()["precision"] == "int8"


@pytest.mark.slow
def test_int8_is_off_by_what_its_steps_explain(two, forms):
    """
    The error of a sum of products is at most that of each factor, half a step, times the other: steps of
    1/127 of the input's largest value, and of 1/63 of a channel's largest weight, which has half the range.
    As much again is what the correction of the bias, a mean error, may add.
    """
    model, x = two
    session = backends.get("openvino-cpu").load(forms[1], threads=1, precision="int8")
    session.infer()
    weights = model.convolution.weight.detach()
    of_input = x.abs().max() / 127 / 2
    of_weights = weights.abs().amax((1, 2, 3), keepdim=True) / 63 / 2
    bound = F.conv2d(x.abs() + of_input, torch.ones_like(weights) * of_weights, padding=1)
    bound += F.conv2d(torch.ones_like(x) * of_input, weights.abs(), padding=1)
    truth = model(x)[0].detach().numpy().ravel()
    error = np.abs(session.output()[: truth.size] - truth)
    assert (error <= 2 * bound.numpy().ravel()).all()
    assert error.max() > 1e-4


@pytest.mark.slow
def test_a_network_that_is_quantized_already_is_taken_as_it_is(forms, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    assert quantization.quantize(forms[1], []) == forms[1]


def test_no_nncf_is_said_with_the_remedy(two, monkeypatch, tmp_path):
    plain = backends.get("openvino-cpu").prepare(*two, tmp_path)
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UnavailableError, match=r"pip install 'formfn-profile\[int8\]'"):
        quantization.quantize(plain, [(two[1],)])


@pytest.mark.slow
def test_what_nncf_cannot_take_is_said(two, tmp_path):
    """An example of another shape than the network's."""
    plain = backends.get("openvino-cpu").prepare(*two, tmp_path)
    with pytest.raises(BackendError, match="NNCF could not quantize the network: "):
        quantization.quantize(plain, [(two[1][:, :, :8],)])


@pytest.mark.slow
def test_a_network_is_converted_once_and_quantized_once(two, tmp_path):
    """Both forms lie in one folder; a backend without int8 is a skipped row, and says which has it."""
    preparer = Preparer(tmp_path)
    spec = pack(two[0], [two[1]])
    plain, quantized = (preparer.prepare(spec, Form("openvino-cpu", each)) for each in (False, True))
    assert plain.path.parent == quantized.path.parent
    assert [each.name for each in tmp_path.iterdir()] == [plain.path.parent.name]
    assert plain.quantize_seconds is None
    assert quantized.seconds == plain.seconds
    assert quantized.quantize_seconds > 0
    refused = preparer.prepare(spec, Form("torch", quantized=True))
    assert refused.unavailable
    assert refused.reason == "torch runs no int8 here. What does: openvino-cpu"


def test_int8_is_calibrated_on_inputs_of_the_same_kind(two):
    """A pattern's own images and nine others, no two alike; a user's tensors are all there is of theirs."""
    from formfn_profile import patterns
    from formfn_profile.models import resolve

    spec = patterns.PatternSpec("standard", 1, 8, 8, batch=2)
    for each, own in (
        (spec, (patterns.example_input(spec),)),
        (resolve("resnet18"), (resolve("resnet18").inputs[0].tensor(0),)),
    ):
        found = examples(each, own)
        assert found[0] is own
        assert {tuple(x.shape) for (x,) in found} == {tuple(own[0].shape)}
        assert len({x.numpy().tobytes() for (x,) in found}) == EXAMPLES
    assert examples(pack(two[0], [two[1]]), (two[1],)) == [(two[1],)]


@pytest.mark.skipif(not HAS_BF16, reason="this CPU has no avx512_bf16")
@pytest.mark.parametrize("name", ["torch", "openvino-cpu"])
def test_bf16_is_off_by_its_unit_roundoff(name, tmp_path):
    """
    A convolution that changes nothing: each value is off by 2^-8 of itself at most (bf16 has 8 significant
    bits, rounded to nearest), and some by more than half of that.
    """
    identity = nn.Conv2d(16, 16, 1, bias=False)
    with torch.no_grad():
        identity.weight.copy_(torch.eye(16).reshape(16, 16, 1, 1))
    x = torch.rand(1, 16, SIDE, SIDE) + 0.5
    session = backends.get(name).load(
        backends.get(name).prepare(identity.eval(), x, tmp_path), threads=1, precision="bf16"
    )
    session.infer()
    error = np.abs(session.output() - x.numpy()) / x.numpy()
    assert 2**-9 < error.max() <= 2**-8
    assert session.facts()["precision"] == "bf16"


def test_a_processor_without_bf16_is_refused(two, tmp_path, monkeypatch):
    """OpenVINO answers with f32 there; PyTorch would compute in f32 and round. A double of both."""
    monkeypatch.setattr(openvino_cpu, "_hint", lambda _: "f32")
    monkeypatch.setattr(torch_cpu, "_has_bf16_kernels", lambda: False)
    for name, said in (("openvino-cpu", "compiled for f32"), ("torch", "no bf16 kernels for this processor")):
        folder = tmp_path / name
        folder.mkdir()
        path = backends.get(name).prepare(*two, folder)
        with pytest.raises(UnavailableError, match=f"{name}: .*{said}"):
            backends.get(name).load(path, threads=1, precision="bf16")


def test_kernels_held_to_avx2_have_no_bf16(two, tmp_path, monkeypatch):
    """OpenVINO 2026.4, so held, fails to compile some networks in bf16 and runs others in f32 in part."""
    path = backends.get("openvino-cpu").prepare(*two, tmp_path)
    monkeypatch.setattr(openvino_cpu, "exceeded_cap", lambda: "avx2")
    with pytest.raises(UnavailableError, match="avx2 has no kernels in bf16"):
        backends.get("openvino-cpu").load(path, threads=1, precision="bf16")


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind; apt-get install valgrind")
def test_under_valgrind_bf16_is_refused_and_int8_runs_on_avx2(forms):
    """Valgrind 3.19 shows programs an AVX2 CPU, whatever the machine's."""
    program = [sys.executable, "-c", UNDER_VALGRIND, *map(str, forms)]
    done = subprocess.run(
        ["valgrind", "--tool=none", "-q", *program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    refused, ran = done.stdout.splitlines()
    assert "asked for bf16, but OpenVINO compiled for f32" in refused
    assert ran == "int8 avx2 1"


@pytest.mark.parametrize(
    "ran, hint, expected",
    [
        ((), "f32", "f32"),
        (("brgconv_avx512_f32",), "f32", "f32"),
        (("brgconv_avx512_f32", "brgconv_avx512_bf16"), "bf16", "bf16"),
        (("jit_avx2_f32",), "bf16", "f32"),
        (("brgconv_avx512_f32", "jit_avx2_I8"), "f32", "int8"),
        (("convolution_gpu_bfyx_os_iyx_osv16",), "f16", "f16"),
    ],
)
def test_a_networks_precision_is_that_of_its_convolutions(ran, hint, expected):
    """Names of kernels as OpenVINO 2026.4 has them; one that tells no type leaves it to the hint."""
    layers = [Layer("Convolution", kernel, "acdb", 1) for kernel in ran]
    softmax = Layer("Softmax", "jit_avx512_I8", "abcd", 0)
    assert openvino_graph.multiplied_in([*layers, softmax], hint) == expected


def test_what_rearranges_or_was_computed_once_is_no_operation():
    """The sum, seen in a graph whose own word for it was u8, computes in f32."""
    kernels = ("Reorder jit_uni_I8", "Convert ref_any", "Transpose unknown_i8", "Eltwise jit_avx512_f32")
    layers = [Layer(*each.split(), "acdb", 0) for each in kernels]
    assert [each.precision for each in layers if each.computes] == ["f32"]
