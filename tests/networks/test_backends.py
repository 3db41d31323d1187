"""Backends: what runs is what was asked for, and what they say of it is true."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from formfn_profile import backends, patterns
from formfn_profile.backends import isa
from formfn_profile.backends.openvino_cpu import OpenVinoCpu
from formfn_profile.backends.openvino_gpu import OpenVinoGpu
from formfn_profile.errors import BackendError, UnknownBackendError
from formfn_profile.observations import eager
from formfn_profile.patterns import PatternSpec

SPEC = PatternSpec("dwbottleneck", depth=3, width=32, resolution=16)
CONVOLUTIONS = 1 + 3 * 3

LEARN_AND_TELL = """
import json, os
import torch
from formfn_profile import backends
from formfn_profile.backends import torch_kernels
threads = len(os.listdir("/proc/self/task"))
backends.get("torch").imports()
assert len(os.listdir("/proc/self/task")) <= threads, "a pool's threads would not survive a fork"
learnt = torch_kernels.isa(), torch_kernels.versions()
torch_kernels._told.clear()
assert learnt == (torch_kernels.isa(), torch_kernels.versions()), "what this process itself is told"
print(json.dumps(learnt))
"""

LOAD_AND_TELL = """
import json, sys
from pathlib import Path
from formfn_profile import backends
session = backends.get(sys.argv[1]).load(Path(sys.argv[2]), threads=1)
session.infer()
facts = session.facts()
session.infer()
print("torch" in sys.modules, "openvino" in sys.modules)
print(json.dumps(facts))
"""


@pytest.fixture
def prepared(tmp_path):
    def prepare(name):
        return backends.get(name).prepare(patterns.build(SPEC), patterns.example_input(SPEC), tmp_path)

    return prepare


def told(name, path, environment=None, launcher=()):
    """Load a prepared network in a process of its own; return what it imported and its facts."""
    done = subprocess.run(
        [*launcher, sys.executable, "-c", LOAD_AND_TELL, name, str(path)],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    imported, facts = done.stdout.splitlines()
    return imported, json.loads(facts)


def convolutions(kernels):
    return sum(n for name, n in kernels.items() if "conv" in name.lower())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "openvino-cpu"])
def test_facts_are_what_was_asked_for(session_of, name):
    """Single precision, one thread, on the CPU, and one kernel for each convolution of the network."""
    facts = session_of(name, patterns.build(SPEC), patterns.example_input(SPEC)).facts()
    assert (facts["precision"], facts["threads"], facts["device"]) == ("f32", 1, "CPU")
    assert convolutions(facts["kernels"]) == CONVOLUTIONS
    assert facts["isa"]
    assert json.loads(json.dumps(facts)) == facts


def test_openvino_runs_one_stream_and_channels_last(session_of):
    facts = session_of("openvino-cpu", patterns.build(SPEC), patterns.example_input(SPEC)).facts()
    assert facts["streams"] == 1
    assert facts["memory_format"] in ("NHWC", "nChw16c", "nChw8c", "NCHW")


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU")
@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino-cpu"])
def test_threads_are_set_and_read_back(session_of, name):
    session = session_of(name, patterns.build(SPEC), patterns.example_input(SPEC), threads=2)
    assert session.facts()["threads"] == min(2, len(os.sched_getaffinity(0)))


@pytest.mark.slow
@pytest.mark.parametrize("name, loaded", [("openvino-cpu", "False True"), ("onnxruntime", "False False")])
def test_the_worker_of_another_library_never_imports_torch(prepared, name, loaded):
    imported, facts = told(name, prepared(name))
    assert imported == loaded
    assert facts["precision"] == "f32"


@pytest.mark.slow
def test_a_process_with_onednn_off_tells_its_facts(prepared):
    """Tensors of oneDNN, by which libraries are made to name themselves, raise while it is off."""
    _, facts = told("torch-no-onednn", prepared("torch-no-onednn"))
    assert facts["onednn_enabled"] is False
    assert convolutions(facts["kernels"]) == CONVOLUTIONS
    assert not any("oneDNN" in kernel for kernel in facts["kernels"])


def test_the_ir_keeps_single_precision_weights(prepared):
    """No f16 compression: the weights' file holds every parameter in 4 bytes, or more."""
    path = prepared("openvino-cpu")
    weights = sum(m.weight.numel() for m in patterns.build(SPEC).modules() if isinstance(m, nn.Conv2d))
    assert path.with_suffix(".bin").stat().st_size >= 4 * weights


def test_a_dynamic_model_is_refused(tmp_path, prepared):
    import openvino as ov

    path = prepared("openvino-cpu")
    model = ov.Core().read_model(path)
    model.reshape([1, 3, -1, -1])
    dynamic = tmp_path / "dynamic.xml"
    ov.save_model(model, dynamic)
    with pytest.raises(BackendError, match="has dynamic shapes, which run on slower kernels"):
        backends.get("openvino-cpu").load(dynamic, threads=1)


def test_a_model_that_cannot_be_converted_says_why(tmp_path):
    class Bad(nn.Module):
        def forward(self, x):
            raise ValueError("no such luck")

    with pytest.raises(BackendError, match="could not convert the model: ValueError: no such luck"):
        backends.get("openvino-cpu").prepare(Bad(), torch.zeros(1, 3, 8, 8), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino-cpu"])
def test_an_input_of_another_shape_is_refused(session_of, name):
    session = session_of(name, patterns.build(SPEC), patterns.example_input(SPEC))
    with pytest.raises(BackendError, match=r"\(1, 3, 16, 16\), but float32 \(1, 3, 8, 8\) was given"):
        session.set_input(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino-cpu"])
def test_the_output_is_a_copy(session_of, name):
    """A kept output does not change with the next inference; the first needs none before it."""
    session = session_of(name, patterns.build(SPEC), patterns.example_input(SPEC))
    first = session.output()
    kept = first.copy()
    session.infer()
    assert np.array_equal(session.output(), kept)
    session.set_input(patterns.example_input(SPEC, seed=1).numpy())
    session.infer()
    assert np.array_equal(first, kept)
    assert not np.array_equal(session.output(), kept)


def test_torch_kernels_follow_the_library_that_runs(session_of):
    """With oneDNN off no kernel of its may appear; each convolution is then native."""
    model, x = patterns.build(SPEC), patterns.example_input(SPEC)
    without = session_of("torch-no-onednn", model, x).facts()
    assert without["onednn_enabled"] is False
    assert not any(name.startswith("oneDNN") for name in without["kernels"])
    assert convolutions(without["kernels"]) == CONVOLUTIONS
    usual = session_of("torch", model, x).facts()
    assert usual["onednn_enabled"] is True
    assert sum(name.startswith("oneDNN convolution jit_dw") for name in usual["kernels"]) == 1


@pytest.mark.parametrize("name", patterns.PATTERNS)
def test_the_first_inference_runs_the_kernels_of_any_other(session_of, name):
    """A simulated worker's facts are of its first."""
    spec = PatternSpec(name, depth=2, width=32, resolution=16)
    session = session_of("torch", patterns.build(spec), patterns.example_input(spec))
    assert session.facts()["kernels"] == session.facts()["kernels"]


@pytest.mark.slow
def test_what_pytorchs_libraries_say_is_learnt_from_a_child():
    """A worker asks before it forks; what it learns is what a process that asks itself is told."""
    told = subprocess.run([sys.executable, "-c", LEARN_AND_TELL], check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    isa, versions = json.loads(told.stdout)
    assert isa["onednn"] is not None
    assert versions.keys() == {"torch_onednn", "torch_mkl"}


def test_channels_last_is_read_back(session_of):
    model, x = patterns.build(SPEC), patterns.example_input(SPEC)
    assert session_of("torch", model, x).facts()["memory_format"] == "NCHW"
    assert session_of("torch-channels-last", model, x).facts()["memory_format"] == "NHWC"


@pytest.mark.parametrize("name", [name for name in backends.BACKENDS if eager(name) and name != "torch"])
def test_forms_of_pytorch_agree_with_eager(session_of, error_of, name):
    """For the input given at load and for another one set later."""
    model, x, other = patterns.build(SPEC), patterns.example_input(SPEC), patterns.example_input(SPEC, seed=1)
    with torch.inference_mode():
        truth, truth_of_other = model(x).numpy(), model(other).numpy()
    session = session_of(name, model, x)
    assert error_of(session.output(), truth) < 1e-4
    session.set_input(other.numpy())
    session.infer()
    assert error_of(session.output(), truth_of_other) < 1e-4


@pytest.mark.slow
def test_pytorch_names_each_library_where_they_differ(prepared):
    """With oneDNN alone capped they do not agree: each that tells is named, and MKL tells on Intel only."""
    _, facts = told("torch", prepared("torch"), {"ONEDNN_MAX_CPU_ISA": "AVX"})
    assert re.fullmatch(r"aten avx\w+, onednn avx(, mkl avx\w+)?", facts["isa"])
    assert ("mkl" in facts["isa"]) == (facts["isa_not_known"] == [])


class Mixed(nn.Module):
    """A convolution, then what oneDNN tensors cannot do: hardtanh in place, a slice, a view."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 16, 3)

    def forward(self, x):
        y = F.hardtanh(self.convolution(x), inplace=True)
        return y[:, :8].reshape(y.shape[0], -1)


def test_explicit_onednn_lists_what_falls_back(session_of, error_of):
    """Every convolution runs in oneDNN; the rest is right, and named with its calls in one inference."""
    session = session_of("torch-onednn", model := Mixed().eval(), x := torch.randn(1, 3, 16, 16))
    session.infer()
    facts = session.facts()
    assert error_of(session.output(), model(x).detach()) < 1e-5
    assert facts["fallbacks"]["hardtanh"] == 1
    assert facts["memory_format"] == "oneDNN's own"
    ran = facts["kernels"]
    assert sum(n for name, n in ran.items() if name.startswith("oneDNN convolution")) == 1
    assert not any("slow_conv" in name for name in ran)


class Wrong(nn.Module):
    def forward(self, x):
        return x.reshape(7)


def test_explicit_onednn_does_not_hide_a_models_own_error(session_of):
    with pytest.raises(RuntimeError, match="shape '\\[7\\]' is invalid"):
        session_of("torch-onednn", Wrong(), torch.zeros(1, 3, 8, 8))


@pytest.mark.slow
def test_the_cap_holds_pytorch_to_avx2(prepared):
    """PyTorch's own kernels, its oneDNN and its MKL."""
    _, facts = told("torch", prepared("torch"), backends.isa_environment("avx2"))
    assert facts["isa"] == "avx2"
    assert "avx512" not in "".join(facts["kernels"])


def test_the_cap_holds_openvinos_convolutions_and_the_facts_tell_the_rest(prepared):
    """Its `Reduce` kernels may ignore the cap (2026.4 does): then they are in `isa`, with their number."""
    _, facts = told("openvino-cpu", prepared("openvino-cpu"), backends.isa_environment("avx2"))
    beyond = {name: n for name, n in facts["kernels"].items() if "avx512" in name}
    assert set(beyond) <= {"Reduce jit_avx512_f32"}
    assert facts["isa"].startswith("avx2")
    assert ("avx512" in facts["isa"]) == bool(beyond)


def test_no_cap_is_an_empty_environment():
    assert backends.isa_environment("native") == {}
    with pytest.raises(BackendError, match=r"cannot be held to 'avx3'\. There is: native, avx2"):
        backends.isa_environment("avx3")


@pytest.mark.parametrize(
    "text,expected",
    [
        ("Intel AVX10.1 and Intel AMX with bfloat16 and 8-bit integer support", "avx512"),
        ("Intel AVX-512 with Intel DL Boost", "avx512"),
        ("Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled processors", "avx2"),
        ("Intel AVX2 with Intel DL Boost", "avx2"),
        ("brgconv_avx512_1x1_f32", "avx512"),
        ("jit_uni_f32", None),
        ("NO AVX", "avx"),
    ],
)
def test_families_in_the_words_of_libraries(text, expected):
    """Texts as oneDNN 3.12, MKL 2024 and OpenVINO 2026.4 print them."""
    assert isa.family(text) == expected


def test_kernels_that_differ_are_all_named():
    assert isa.summary({"jit_avx2_f32": 12, "brgconv_avx2_f32": 1, "jit_avx512_f32": 1}) == (
        "avx2 (13 layers), avx512 (1)"
    )
    assert isa.summary({"gemm_mlas_f32": 1}) is None


def core(devices, gops=1000.0):
    return types.SimpleNamespace(available_devices=devices, get_property=lambda *_: {"f32": gops})


@pytest.mark.parametrize("devices", [["CPU"], [], ["CPU", "NPU"]])
def test_no_gpu_is_said_with_the_devices_that_are_there(devices):
    with pytest.raises(BackendError) as caught:
        OpenVinoGpu("openvino-gpu").check_devices(core(devices))
    assert f"OpenVINO sees no GPU here, only {', '.join(devices) or 'nothing'}." in str(caught.value)


def test_the_gpu_asked_for_must_be_there():
    OpenVinoGpu("openvino-gpu").check_devices(core(["CPU", "GPU.0", "GPU.1"]))
    OpenVinoGpu("openvino-gpu", "GPU.1").check_devices(core(["CPU", "GPU.0", "GPU.1"]))
    with pytest.raises(BackendError, match=r"sees no GPU\.1 here, only CPU, GPU\. Take one of these"):
        OpenVinoGpu("openvino-gpu", "GPU.1").check_devices(core(["CPU", "GPU"]))


def test_a_driver_that_executes_nothing_is_refused():
    """Its telltale, seen with intel-opencl-icd's debug keys: a speed of 0 for every precision."""
    with pytest.raises(BackendError, match="stand-in that executes nothing"):
        OpenVinoGpu("openvino-gpu").check_devices(core(["CPU", "GPU"], gops=0.0))


@pytest.mark.parametrize(
    "device", ["AUTO", "AUTO:GPU,CPU", "HETERO:GPU,CPU", "MULTI:GPU", "gpu", "GPPU", "CPU"]
)
def test_names_that_may_run_elsewhere_are_refused(device):
    with pytest.raises(BackendError, match="is not a GPU's name"):
        OpenVinoGpu("openvino-gpu", device)


def test_running_elsewhere_than_asked_is_refused(prepared):
    """AUTO compiles, for the CPU: what was asked for is held against EXECUTION_DEVICES."""
    backend = OpenVinoCpu("openvino-auto", "AUTO")
    with pytest.raises(BackendError, match=r"asked for AUTO, but OpenVINO compiled for .*CPU"):
        backend.load(prepared("openvino-cpu"), threads=1)


def test_here_the_gpu_backend_runs_or_says_why_not(prepared):
    """On whatever machine the tests run."""
    import openvino as ov

    path = prepared("openvino-gpu")
    if any(each.startswith("GPU") for each in ov.Core().available_devices):
        assert backends.get("openvino-gpu").load(path, threads=1).facts()["device"].startswith("GPU")
    else:
        with pytest.raises(BackendError, match="OpenVINO sees no GPU here, only"):
            backends.get("openvino-gpu").load(path, threads=1)


def test_an_unknown_backend_names_the_nearest():
    with pytest.raises(UnknownBackendError) as caught:
        backends.get("openvino_cpu")
    assert "no backend 'openvino_cpu'. Did you mean openvino-cpu?" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).known == tuple(backends.BACKENDS)


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind; apt-get install valgrind")
@pytest.mark.parametrize("name", ["torch", "openvino-cpu"])
def test_facts_work_under_valgrind(prepared, name):
    """Valgrind 3.19 shows programs an AVX2 CPU; both libraries must say so."""
    _, facts = told(name, prepared(name), launcher=("valgrind", "--tool=none", "-q"))
    assert facts["isa"] == "avx2"
    assert convolutions(facts["kernels"]) == CONVOLUTIONS
