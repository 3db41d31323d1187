"""Compiled PyTorch and ONNX Runtime: right on every pattern, with facts that are read back, or refused."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from formfn_profile import backends, patterns
from formfn_profile.backends import isa, torch_inductor
from formfn_profile.backends.inputs import Read
from formfn_profile.errors import BackendError, UnavailableError
from formfn_profile.patterns import PatternSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")  # it is what users still have
SPECS = [  # of different seeds: equal layers would be computed once
    PatternSpec(pattern, depth=1, width=16, resolution=16, seed=seed)
    for seed, pattern in enumerate(patterns.PATTERNS)
]
NOTHING = Read(tuple, lambda _: {})
COMPILERS = ("torch-compile", "onnxruntime")


class Six(nn.Module):
    """All patterns at once: they are compiled in one go."""

    def __init__(self):
        super().__init__()
        self.each = nn.ModuleList(map(patterns.build, SPECS))

    def forward(self, x):
        return tuple(model(x) for model in self.each)


CONVOLUTIONS = sum(isinstance(module, nn.Conv2d) for module in Six().modules())
INPUTS = [patterns.example_input(SPECS[0], seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def six():
    return Six().eval()


@pytest.fixture(scope="module")
def prepared(six, tmp_path_factory):
    """The six patterns, prepared for each of the two."""
    folders = {name: tmp_path_factory.mktemp(name) for name in COMPILERS}
    return {name: backends.get(name).prepare(six, INPUTS[0], folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def sessions(prepared):
    """Return a function that loads the six patterns, once."""
    found = {}

    def session(name):
        if name not in found:
            found[name] = backends.get(name).load(prepared[name], threads=1)
        return found[name]

    return session


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILERS)
def test_every_pattern_agrees_with_eager(six, sessions, error_of, name):
    """Within 1e-4 of the largest output of each pattern, for the input given and for another one."""
    session = sessions(name)
    for x in INPUTS:
        with torch.inference_mode():
            truth = [each.numpy() for each in six(x)]
        session.set_input(x.numpy())
        session.infer()
        outputs = np.split(session.output(), np.cumsum([each.size for each in truth])[:-1])
        assert max(error_of(ours, one.ravel()) for ours, one in zip(outputs, truth, strict=True)) < 1e-4
    assert error_of(session.inputs()[0], INPUTS[1].numpy()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILERS)
def test_facts_are_what_was_asked_for(sessions, name):
    """One kernel for each convolution of the networks, and a time of compiling alone."""
    facts = sessions(name).facts()
    assert (facts["precision"], facts["threads"], facts["device"]) == ("f32", 1, "CPU")
    assert sum(n for kernel, n in facts["kernels"].items() if "conv" in kernel.lower()) == CONVOLUTIONS
    assert facts["compile_s"] > 0
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.slow
def test_inductor_writes_kernels_for_the_vectors_of_this_process(sessions):
    """One graph, its element-wise layers in kernels of Inductor's; all vectors are what eager has here."""
    facts = sessions("torch-compile").facts()
    assert facts["kernels"]["Inductor C++ kernel"] >= len(SPECS)
    assert not any("batch_norm" in kernel for kernel in facts["kernels"])
    assert facts["isa"] == isa.family(torch.backends.cpu.get_cpu_capability())
    assert facts["graph_breaks"] == 0
    assert facts["versions"]["cxx"]


@pytest.mark.slow
def test_a_compiled_network_is_not_compiled_again_and_leaves_nothing(prepared, sessions):
    """What lies beside it are its library and that library's sources; Inductor's own cache is gone."""
    sessions("torch-compile")
    folder = prepared["torch-compile"].parent
    assert sorted(each.name for each in folder.iterdir() if each.is_file()) == ["inputs.pt", "model.pt2"]
    (library,) = folder.glob("*/*.so")
    assert [each for each in folder.iterdir() if each.is_dir()] == [library.parent]
    before = library.stat()
    backends.get("torch-compile").load(prepared["torch-compile"], threads=1)
    assert library.stat() == before


@pytest.mark.slow
def test_onnx_runtime_tells_its_settings_and_fuses(sessions):
    """Batch norm and ReLU are no nodes of their own any more; nothing says which vectors MLAS takes."""
    facts = sessions("onnxruntime").facts()
    assert facts["providers"] == ["CPUExecutionProvider"]
    assert facts["isa"] is None
    assert facts["isa_not_known"] == facts["nodes"] == sum(facts["kernels"].values())
    assert "BatchNormalization" not in facts["kernels"]
    assert (facts["spinning"], facts["arena"]) == (False, True)


@pytest.mark.slow
def test_onnx_runtime_tells_the_time_of_its_nodes(prepared):
    chosen = backends.get("onnxruntime")
    found = chosen.layers(prepared["onnxruntime"], threads=1, precision="f32", calls=3, read=NOTHING)
    assert sum("Conv" in layer["kind"] for layer in found) == CONVOLUTIONS
    assert all(layer["seconds"] >= 0 for layer in found)


def test_compiled_pytorch_tells_no_layers(tmp_path):
    with pytest.raises(UnavailableError, match="torch-compile tells no layers"):
        backends.get("torch-compile").layers(tmp_path, threads=1, precision="f32", calls=1, read=NOTHING)


@pytest.mark.parametrize("name", COMPILERS)
def test_other_precisions_are_refused(prepared, name):
    with pytest.raises(UnavailableError, match="runs f32 here, not bf16"):
        backends.get(name).load(prepared[name], threads=1, precision="bf16")


def test_no_compiler_is_said_with_the_remedy(prepared, monkeypatch):
    """For a number of threads that nothing was compiled for."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match=r"no no-such-compiler here\. Install one"):
        backends.get("torch-compile").load(prepared["torch-compile"], threads=2)


@pytest.mark.slow
def test_a_compiler_that_fails_is_said(prepared, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BackendError, match=r"torch-compile could not compile the network: .*false"):
        backends.get("torch-compile").load(prepared["torch-compile"], threads=2)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_no_exporter_is_said_with_the_remedy(missing, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr("formfn_profile.backends.onnxruntime_cpu.find_spec", sys.modules.get)
    with pytest.raises(UnavailableError, match=r"pip install 'formfn-profile\[onnxruntime\]'"):
        backends.get("onnxruntime").prepare(nn.ReLU(), torch.ones(1, 3), tmp_path)


def test_no_onnx_runtime_is_said_with_the_remedy(prepared, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UnavailableError, match=r"pip install 'formfn-profile\[onnxruntime\]'"):
        backends.get("onnxruntime").load(prepared["onnxruntime"], threads=1)


@pytest.mark.parametrize("name", COMPILERS)
def test_torchscript_is_refused(tmp_path, name):
    with pytest.raises(UnavailableError, match=f"{name} cannot run TorchScript"):
        backends.get(name).prepare(torch.jit.script(nn.ReLU()), torch.ones(1, 3), tmp_path)


class Chooses(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


@pytest.mark.parametrize("name", COMPILERS)
def test_what_is_no_one_graph_is_refused(tmp_path, name):
    """Where torch.compile would break the graph, and run eager PyTorch in between."""
    with pytest.raises(BackendError, match=f"{name} needs the network as one graph"):
        backends.get(name).prepare(Chooses(), torch.ones(1, 3), tmp_path)


def test_an_open_batch_is_fixed(tmp_path):
    """An exported program of any batch runs at the batch of its inputs: every dimension is fixed."""
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(nn.ReLU(), (torch.ones(3, 4),), dynamic_shapes={"input": {0: batch}})
    path = backends.get("onnxruntime").prepare(program, torch.ones(2, 4), tmp_path)
    (value,) = onnx.load(path).graph.input
    assert [each.dim_value for each in value.type.tensor_type.shape.dim] == [2, 4]


def test_a_cap_that_the_cpu_exceeds_is_told(tmp_path, monkeypatch, prepared):
    cpuinfo = tmp_path / "cpuinfo"
    for flags, environment, expected in (
        ("avx2 avx512f", {}, None),
        ("avx2 avx512f", backends.isa_environment("avx2"), "avx2"),
        ("avx2", backends.isa_environment("avx2"), None),
    ):
        cpuinfo.write_text(f"flags\t: {flags}\n")
        with monkeypatch.context() as patch:
            for name in backends.isa_environment("avx2"):
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            assert isa.exceeded_cap(cpuinfo) == expected
    monkeypatch.setattr("formfn_profile.backends.onnxruntime_cpu.exceeded_cap", lambda: "avx2")
    with pytest.raises(UnavailableError, match="nothing holds ONNX Runtime's kernels to avx2"):
        backends.get("onnxruntime").load(prepared["onnxruntime"], threads=1)


WRAPPER = """
extern "C"  void cpp_fused_relu_0(const float* in_ptr0, float* out_ptr0);
void AOTInductorModel::run_impl(AtenTensorHandle* input_handles) {
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_cpu_convolution(arg0, arg1, &buf0_handle));
    cpp_fused_relu_0((const float*)(buf0.data_ptr()), (float*)(buf1.data_ptr()));
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_cpu_convolution(buf1, arg2, &buf2_handle));
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_proxy_executor_call_function(proxy_executor, 0, 0));
    cpp_fused_relu_0((const float*)(buf2.data_ptr()), (float*)(buf3.data_ptr()));
} // AOTInductorModel::run_impl
"""


def test_calls_are_counted_in_what_inductor_wrote():
    """Written as PyTorch 2.13 writes it; a declaration is no call."""
    assert torch_inductor.called(WRAPPER) == {
        "aten convolution": 2,
        "Inductor C++ kernel": 2,
        "aten operation without a C interface": 1,
    }
