"""OpenVINO on the CPU, and what its other devices share. The worker's part never imports PyTorch."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile.backends.isa import summary
from formfn_profile.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

_NO_KERNEL = frozenset({"Const", "Input", "Output", "Reshape", "Result"})
_LAYOUTS = {"abcd": "NCHW", "acdb": "NHWC", "aBcd16b": "nChw16c", "aBcd8b": "nChw8c", "bfyx": "NCHW"}


@dataclass(frozen=True)
class OpenVinoCpu:
    """OpenVINO on the CPU: float32, static shapes, one stream."""

    name: str
    device: str = "CPU"

    def prepare(self, model: torch.nn.Module, x: torch.Tensor, folder: Path) -> Path:
        """Convert to OpenVINO's IR: float32 weights (no f16 compression), every dimension fixed."""
        import numpy as np
        import openvino as ov
        import torch

        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of tracing: the outputs are compared
                converted = ov.convert_model(model, example_input=x, input=[list(x.shape)])
        except Exception as error:
            raise BackendError(f"OpenVINO could not convert the model: {_cause(error)}") from error
        path = folder / "model.xml"
        ov.save_model(converted, path, compress_to_fp16=False)
        np.save(_input_path(path), x.numpy())
        return path

    def load(self, prepared: Path, *, threads: int) -> OpenVinoSession:
        """Compile the IR; see `Backend.load`."""
        import numpy as np
        import openvino as ov

        core = ov.Core()
        self.check_devices(core)
        model = core.read_model(prepared)
        if model.is_dynamic():
            raise BackendError(
                f"{prepared} has dynamic shapes, which run on slower kernels. Convert it with"
                " `input=[shape]`, or call model.reshape(shape) before saving"
            )
        try:
            compiled = core.compile_model(model, self.device, self.properties(threads))
        except RuntimeError as error:
            raise BackendError(f"OpenVINO could not compile for {self.device}: {_cause(error)}") from error
        executed = list(compiled.get_property("EXECUTION_DEVICES"))
        if [each.split(".")[0] for each in executed] != [self.device.split(".")[0]]:
            raise BackendError(
                f"asked for {self.device}, but OpenVINO compiled for {', '.join(executed)};"
                " nothing was measured, since it would not be of that device"
            )
        return OpenVinoSession(compiled, np.load(_input_path(prepared)))

    def check_devices(self, core: Any) -> None:
        """Raise BackendError if `core` cannot have this backend's device, with the remedy."""

    def properties(self, threads: int) -> dict[str, object]:
        """Return what the model is compiled with."""
        return {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}


class OpenVinoSession:
    """A compiled model and its one request; input and output stay in the same memory."""

    def __init__(self, compiled: Any, x: np.ndarray) -> None:
        import openvino as ov

        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._input = ov.Tensor(compiled.input().element_type, compiled.input().shape)
        self._request.set_input_tensor(self._input)
        self.set_input(x)

    def infer(self) -> None:
        """Infer once, synchronously; the output is not copied."""
        self._request.infer(share_outputs=True)

    def output(self) -> np.ndarray:
        """Return a copy of the output."""
        import numpy as np

        return np.array(self._request.get_output_tensor().data, dtype=np.float32)

    def set_input(self, x: np.ndarray) -> None:
        """Copy `x` into the input."""
        bound = self._input.data
        if x.shape != bound.shape or x.dtype != bound.dtype:
            raise BackendError(f"the input is {bound.dtype} {bound.shape}, but {x.dtype} {x.shape} was given")
        bound[:] = x

    def facts(self) -> dict[str, object]:
        """Read back the compiled model's properties and each layer's kernel; does not infer."""
        import openvino as ov

        layers = [layer for layer in _layers(self._compiled) if layer["layerType"] not in _NO_KERNEL]
        kernels = Counter(f"{layer['layerType']} {layer['primitiveType']}" for layer in layers)
        formats = Counter(layer["outputLayouts"] for layer in layers if layer["layerType"] == "Convolution")
        layout = formats.most_common(1)[0][0] if formats else None
        read = self._compiled.get_property
        return {
            "device": ",".join(read("EXECUTION_DEVICES")),
            "precision": read("INFERENCE_PRECISION_HINT").get_type_name(),
            "threads": _threads(self._compiled),
            "streams": int(read("NUM_STREAMS")),
            "memory_format": _LAYOUTS.get(layout, layout) if layout else None,
            "isa": summary(kernels),
            "isa_not_known": sum(number for name, number in kernels.items() if summary({name: 1}) is None),
            "kernels": dict(kernels),
            "versions": {"openvino": ov.__version__},
        }


def _layers(compiled: Any) -> list[dict[str, str]]:
    """What the plugin says of each node that it executes."""
    wanted = ("layerType", "primitiveType", "outputLayouts")
    nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    return [{key: node[key].astype(str) if key in node else "unknown" for key in wanted} for node in nodes]


def _threads(compiled: Any) -> int | None:
    """Other devices than the CPU have no such property."""
    known = "INFERENCE_NUM_THREADS" in compiled.get_property("SUPPORTED_PROPERTIES")
    return int(compiled.get_property("INFERENCE_NUM_THREADS")) if known else None


def _input_path(model: Path) -> Path:
    return model.with_suffix(".npy")


def _cause(error: BaseException) -> str:
    """Return what first went wrong, in a line, without the places in OpenVINO's sources that it lists."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("Exception from ")]
    return " ".join([f"{type(error).__name__}:", *said[:2]])
