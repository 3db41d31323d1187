"""Any model: what each kind of source becomes, and that it runs alike wherever it can run."""

from __future__ import annotations

import json
import subprocess
import sys

import onnx
import openvino as ov
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from formfn_profile import backends, models
from formfn_profile.errors import BackendError, NetworkError, UnavailableError, UnknownNameError
from formfn_profile.models import Input

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")  # it is what users still have
SHAPE = (1, 3, 16, 16)
INPUT = Input(SHAPE)
MODULE = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)
        self.table = nn.Embedding(2, 8)
    def forward(self, image, token):
        y = self.convolution(image).mean((2, 3))
        return y + self.table(token).sum(1), y

def two():
    return Two()

def number():
    return 3

def broken():
    raise ValueError("no such luck")
"""


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()


@pytest.fixture
def file_of(tmp_path):
    """Write the same network in a format; ONNX by hand, with the weights of the module."""

    def write(kind):
        module, x = network(), torch.zeros(SHAPE)
        path = tmp_path / f"net{kind}"
        if kind == ".pt2":
            torch.export.save(torch.export.export(module, (x,)), path)
        elif kind == ".pt":
            torch.jit.save(torch.jit.trace(module, x), path)
        elif kind == ".xml":
            converted = ov.convert_model(module, example_input=x, input=[list(SHAPE)])
            ov.save_model(converted, path, compress_to_fp16=False)
        else:
            first, norm, _, last = module
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weights = {
                "w0": first.weight * scale[:, None, None, None],
                "b0": (first.bias - norm.running_mean) * scale + norm.bias,
                "w1": last.weight,
                "b1": last.bias,
            }
            nodes = [
                helper.make_node("Conv", ["x", "w0", "b0"], ["a"]),
                helper.make_node("Relu", ["a"], ["b"]),
                helper.make_node("Conv", ["b", "w1", "b1"], ["y"]),
            ]
            graph = helper.make_graph(
                nodes,
                "net",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, 14, 14])],
                [onnx.numpy_helper.from_array(w.detach().numpy(), name) for name, w in weights.items()],
            )
            opset = [helper.make_opsetid("", 17)]
            onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
        return path

    return write


@pytest.fixture
def a_package(tmp_path, monkeypatch):
    (tmp_path / "zoo_of_tests.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "zoo_of_tests"
    sys.modules.pop("zoo_of_tests", None)
    if str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [".pt2", ".pt", ".xml", ".onnx"])
def test_each_file_runs_as_the_module_does(kind, file_of, session_of, error_of):
    """The same network from each format, on each backend that takes it; the module is the truth."""
    spec = models.resolve(str(file_of(kind)), [INPUT], trust=kind == ".pt2")
    built = models.build(spec)
    with torch.inference_mode():
        truth = network()(*built.inputs).numpy()
    assert error_of(session_of("openvino-cpu", built.model, built.inputs).output(), truth) < 1e-4
    if kind in (".pt2", ".onnx"):
        assert error_of(session_of("onnxruntime", built.model, built.inputs).output(), truth) < 1e-4
    else:
        with pytest.raises(UnavailableError, match="onnxruntime cannot run"):
            session_of("onnxruntime", built.model, built.inputs)
    if kind in (".pt2", ".pt"):
        assert error_of(session_of("torch", built.model, built.inputs).output(), truth) < 1e-5
    else:
        assert built.module is None
        with pytest.raises(
            UnavailableError, match=rf"torch cannot run net{kind}: PyTorch reads no {kind} files"
        ):
            session_of("torch", built.model, built.inputs)


@pytest.mark.slow
def test_a_function_with_two_inputs_and_two_outputs(a_package, session_of, error_of):
    """Outputs follow one another; the table of the embedding has two rows, which its input respects."""
    spec = models.resolve(f"{a_package}:two", [INPUT, Input((1, 5), "i64")])
    built = models.build(spec)
    with torch.inference_mode():
        truth = torch.cat([each.ravel() for each in built.module(*built.inputs)]).numpy()
    for name in ("torch", "onnxruntime", "openvino-cpu"):
        session = session_of(name, built.model, built.inputs)
        assert error_of(session.output(), truth) < 1e-4
        session.set_input(*session.inputs())
        session.infer()
        assert error_of(session.output(), truth) < 1e-4


@pytest.mark.slow
def test_a_class_of_a_script_reaches_the_worker(tmp_path):
    """Defined in `__main__`, as in a notebook: by value, to a process that cannot import it."""
    script = """
import subprocess, sys
from pathlib import Path
import torch
from torch import nn
from formfn_profile import backends
class Mine(nn.Module):
    def forward(self, x):
        return x * 2
path = backends.get("torch").prepare(Mine(), torch.ones(1, 2), Path(sys.argv[1]))
code = "import sys; from pathlib import Path; from formfn_profile import backends;" \\
    "s = backends.get('torch').load(Path(sys.argv[1]), threads=1); s.infer(); print(s.output().tolist())"
print(subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout)
"""
    file = tmp_path / "script.py"
    file.write_text(script)
    done = subprocess.run(
        [sys.executable, file, tmp_path], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[[2.0, 2.0]]"


def test_a_named_network_has_its_own_input():
    spec = models.resolve("mobilenetv2", batch=2)
    assert (spec.inputs, spec.pattern, spec.batch) == ((Input((2, 3, 224, 224)),), "dwbottleneck", 2)
    with pytest.raises(NetworkError, match="has an input of its own"):
        models.resolve("mobilenetv2", [INPUT])


@pytest.mark.slow
def test_files_tell_their_inputs_where_they_can(file_of):
    """An exported program has the shapes of its export, IR those of its conversion; open shapes tell none."""
    assert models.resolve(str(file_of(".pt2")), trust=True).inputs == (INPUT,)
    assert models.resolve(str(file_of(".xml"))).inputs == (INPUT,)
    for kind in (".onnx", ".pt"):
        with pytest.raises(NetworkError, match="--input"):
            models.resolve(str(file_of(kind)))


def test_a_pickle_is_refused_unless_trusted(tmp_path):
    """It runs code when loaded: here it would print."""
    path = tmp_path / "pickled.pt"
    torch.save(network(), path)
    with pytest.raises(NetworkError, match="runs whatever code is in the file: say --trust"):
        models.build(models.resolve(str(path), [INPUT]))
    assert isinstance(models.build(models.resolve(str(path), [INPUT], trust=True)).module, nn.Sequential)


@pytest.mark.parametrize(
    "source, inputs, said",
    [
        ("resnet5O", [], "Did you mean resnet50"),
        ("zoo_of_tests:two", [], "give the inputs of zoo_of_tests:two with --input"),
        ("zoo_of_tests:three", [INPUT], "has no function three"),
        ("zoo_of_tests:number", [INPUT], "returned int, not a torch.nn.Module"),
        ("zoo_of_tests:broken", [INPUT], r"broken\(\) raised ValueError: no such luck"),
        ("no_such_package:net", [INPUT], "cannot import no_such_package"),
        ("none.onnx", [INPUT], "cannot read the model none.onnx: No such file"),
        ("zoo_of_tests.py", [INPUT], "no kind of model is known by '.py'"),
    ],
)
def test_what_cannot_be_had_says_why(source, inputs, said, a_package):
    with pytest.raises((NetworkError, UnknownNameError), match=said):
        models.build(models.resolve(source, inputs))


@pytest.mark.parametrize("kind", [".pt2", ".pt", ".onnx", ".xml"])
def test_a_damaged_file_is_refused(kind, tmp_path):
    path = tmp_path / f"damaged{kind}"
    path.write_bytes(b"\x00no model\x00" * 50)
    with pytest.raises((NetworkError, backends.inputs.BackendError)):
        built = models.build(models.resolve(str(path)))
        backends.get("openvino-cpu").prepare(built.model, built.inputs, tmp_path)


@pytest.mark.parametrize("text", ["1x3x8x8", "1x128:i64", "4:bool", "2x3:f64"])
def test_inputs_are_read_and_made(text):
    one = Input.parse(text)
    assert Input.parse(str(one)) == one
    assert tuple(one.tensor(0).shape) == one.shape
    assert torch.equal(one.tensor(1), one.tensor(1))


@pytest.mark.parametrize("text", ["", "0x3", "1x3:f8", "x", "1x-3", "1x3x"])
def test_a_malformed_input_is_refused(text):
    with pytest.raises(NetworkError, match="expected a shape and perhaps a type"):
        Input.parse(text)


@pytest.mark.slow
@pytest.mark.parametrize("precision, limit", [("f16", 1e-2), ("bf16", 5e-2)])
def test_narrower_precision_is_read_back_with_its_error(precision, limit, tmp_path, error_of):
    """Off float32 by more than its own rounding, by less than 10 (f16) or 7 (bf16) bits explain."""
    model, x = network(), INPUT.tensor(0)
    truth = model(x).detach().numpy()
    for name in ("torch", "openvino-cpu"):
        chosen = backends.get(name)
        folder = tmp_path / name
        folder.mkdir()
        path = chosen.prepare(model, x, folder)
        try:
            session = chosen.load(path, threads=1, precision=precision)
        except UnavailableError as refused:
            assert (name, precision) != ("torch", "f16")
            assert precision in str(refused)  # noqa: PT017
            continue
        session.infer()
        assert session.facts()["precision"] == precision
        assert 1e-6 < error_of(session.output(), truth) < limit


@pytest.mark.slow
def test_the_command_measures_a_model_and_skips_what_cannot_run_it(file_of, tmp_path):
    """IR on OpenVINO is measured; on PyTorch it is a skipped row with the reason, and no failure."""
    out = tmp_path / "r.jsonl"
    command = [
        *(sys.executable, "-m", "formfn_profile.llc", "--model", str(file_of(".xml")), "--out", str(out)),
        *("--counters", "none", "--calls", "3", "--seconds", "0"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {r["backend"]: r for r in map(json.loads, out.read_text().splitlines())}
    assert found["torch"]["status"] == "skipped"
    assert "PyTorch reads no .xml files" in found["torch"]["reason"]
    assert found["openvino-cpu"]["status"] == "ok"
    assert found["openvino-cpu"]["inputs"] == ["1x3x16x16:f32"]
    assert len(found["openvino-cpu"]["latency_s"]) == 3
    assert found["openvino-cpu"]["end_to_end_s"]
    assert "Skipped:" in done.stdout


def onnx_of(nodes, path, *weights):
    """Write an ONNX file of these nodes, from x to y, both of 4 floats."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    return path


def test_an_unknown_operator_is_named(tmp_path):
    """ONNX says what it is made of: the operator that OpenVINO does not have is in the message."""
    path = onnx_of([helper.make_node("FourierBessel", ["x"], ["y"])], tmp_path / "net.onnx")
    spec = models.resolve(str(path), [Input((4,))])
    with pytest.raises(backends.inputs.BackendError, match="FourierBessel"):
        backends.get("openvino-cpu").prepare(models.build(spec).model, [INPUT.tensor(0)], tmp_path)
    with pytest.raises(NetworkError, match="FourierBessel"):
        models.resolve(str(path))


@pytest.mark.parametrize("place", ["../secret.bin", "a/../../secret.bin", "{}/secret.bin", "link.bin"])
def test_weights_outside_the_models_folder_are_not_read(place, tmp_path):
    """ONNX may keep weights in a file of its own, beside it; a path or a link that leads out is refused."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (folder / "link.bin").symlink_to("../secret.bin")
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL, dims=[4])
    weights.external_data.add(key="location", value=place.format(tmp_path))
    path = onnx_of([helper.make_node("Add", ["x", "w"], ["y"])], folder / "net.onnx", weights)
    with pytest.raises(NetworkError, match="outside the base directory"):
        models.resolve(str(path))
    built = models.build(models.resolve(str(path), [Input((4,))]))
    with pytest.raises(
        BackendError, match=r"the model cannot be had as ONNX: .*(outside|symbolic link|absolute)"
    ):
        backends.get("onnxruntime").prepare(built.model, built.inputs, tmp_path)


def test_ir_cut_anywhere_is_refused(file_of, tmp_path):
    """The description or the weights: an error of ours, not a crash or a network of other weights."""
    whole = file_of(".xml")
    weights = whole.with_suffix(".bin").read_bytes()
    text = whole.read_bytes()
    for part in range(8):
        whole.write_bytes(text[: len(text) * part // 8])
        with pytest.raises(NetworkError):
            models.resolve(str(whole))
    whole.write_bytes(text)
    for part in range(8):
        whole.with_suffix(".bin").write_bytes(weights[: len(weights) * part // 8])
        with pytest.raises(NetworkError):
            models.resolve(str(whole))


class Saves(nn.Module):
    def forward(self, x):
        torch.save(x, "there")
        return x


class Maps(nn.Module):
    def forward(self, x):
        return x + torch.from_file("there", True, 4)


@pytest.mark.parametrize("kind, called", [(Saves, "save"), (Maps, "from_file")])
def test_torchscript_that_touches_files_needs_trust(kind, called, tmp_path):
    """As PyTorch itself writes it: refused by its code, before it is loaded."""
    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.script(kind()), path)
    with pytest.raises(NetworkError, match=f"calls {called}, which reads or writes files: say --trust"):
        models.build(models.resolve(str(path), [Input((4,))]))
    assert models.build(models.resolve(str(path), [Input((4,))], trust=True)).module is not None
