"""OpenVINO on the CPU, and what its other devices share. The worker's part never imports PyTorch."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile.backends import openvino_graph
from formfn_profile.backends.inputs import as_tuple, check, keep, kept, one_array
from formfn_profile.backends.isa import exceeded_cap, summary
from formfn_profile.backends.openvino_module import openvino, reason, save
from formfn_profile.brief import cause
from formfn_profile.errors import BackendError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch

    from formfn_profile.backends.inputs import Model, Read

_SETTLING_CALLS, _STEADY_CALLS = 5, 100
_HINTS = {"f32": "f32", "f16": "f16", "bf16": "bf16", "int8": "f32"}
"""What is asked of OpenVINO for a precision: int8 is in the model, and the rest of it in f32."""
_LAYOUTS = {"abcd": "NCHW", "acdb": "NHWC", "aBcd16b": "nChw16c", "aBcd8b": "nChw8c", "bfyx": "NCHW"}


@dataclass(frozen=True)
class OpenVinoCpu:
    """OpenVINO on the CPU: static shapes, one stream."""

    name: str
    device: str = "CPU"
    layers_countable: bool = False
    quantizes: bool = True

    def imports(self) -> None:
        """Import OpenVINO."""
        openvino()

    def prepare(self, model: Model, inputs: torch.Tensor | Sequence[torch.Tensor], folder: Path) -> Path:
        """Convert to OpenVINO's IR: weights as they are (no f16 compression), every dimension fixed."""
        ov = openvino()

        tensors = as_tuple(inputs)
        try:
            converted = _converted(model, tensors)
            converted.reshape({i: ov.PartialShape(list(x.shape)) for i, x in enumerate(tensors)})
        except Exception as error:
            raise BackendError(f"OpenVINO could not convert the model: {_cause(error)}") from error
        path = folder / "model.xml"
        save(converted, path)
        keep(path, tensors)
        return path

    def load(self, prepared: Path, *, threads: int, precision: str = "f32") -> OpenVinoSession:
        """Compile the IR; see `Backend.load`."""
        return self._load(prepared, threads, precision, {})

    def layers(
        self,
        prepared: Path,
        *,
        threads: int,
        precision: str,
        calls: int,
        read: Read,  # noqa: ARG002 - there is no boundary to read at
    ) -> list[dict[str, object]]:
        """Return OpenVINO's own times of its layers, which it fuses from those of the model."""
        return self._load(prepared, threads, precision, {"PERF_COUNT": True}).layers(calls)

    def _load(
        self, prepared: Path, threads: int, precision: str, more: Mapping[str, object]
    ) -> OpenVinoSession:

        ov = openvino()

        if precision not in _HINTS:
            raise BackendError(f"OpenVINO has no precision {precision!r}. There is: {', '.join(_HINTS)}")
        hint = _HINTS[precision]
        if hint != "f32" and (cap := exceeded_cap()):
            raise UnavailableError(
                f"{self.name}: {cap} has no kernels in {precision}. Measure it without --isa"
            )
        core = ov.Core()
        self.check_devices(core)
        model = core.read_model(prepared)
        if model.is_dynamic():
            raise BackendError(
                f"{prepared} has dynamic shapes, which run on slower kernels. Convert it with"
                " `input=[shape]`, or call model.reshape(shape) before saving"
            )
        properties = {**self.properties(threads), "INFERENCE_PRECISION_HINT": hint, **more}
        started = time.perf_counter()
        try:
            compiled = core.compile_model(model, self.device, properties)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO could not compile for {self.device}: {_cause(error)}") from error
        compile_s = time.perf_counter() - started
        executed = list(compiled.get_property("EXECUTION_DEVICES"))
        if [each.split(".")[0] for each in executed] != [self.device.split(".")[0]]:
            raise BackendError(
                f"asked for {self.device}, but OpenVINO compiled for {', '.join(executed)};"
                " nothing was measured, since it would not be of that device"
            )
        if (answer := _hint(compiled)) != hint:
            raise UnavailableError(
                f"{self.name}: asked for {precision}, but OpenVINO compiled for {answer}, as it does on a"
                f" processor without {precision} (the simulated one has AVX2 and no more)"
            )
        arrays = kept(prepared)
        return self.session(compiled, arrays, compile_s)

    def session(self, *made: Any) -> OpenVinoSession:
        """Return the session of a compiled model."""
        return OpenVinoSession(*made)

    def check_devices(self, core: Any) -> None:
        """Raise BackendError if `core` cannot have this backend's device, with the remedy."""

    def properties(self, threads: int) -> dict[str, object]:
        """Return what the model is compiled with."""
        return {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}


class OpenVinoSession:
    """A compiled model and its one request; input and output stay in the same memory."""

    def __init__(self, compiled: Any, arrays: Sequence[np.ndarray], compile_s: float | None = None) -> None:
        ov = openvino()

        self._compiled = compiled
        self._compile_s = compile_s
        self._request = compiled.create_infer_request()
        self._inferred = False
        self._inputs = [ov.Tensor(port.element_type, port.shape) for port in compiled.inputs]
        for number, tensor in enumerate(self._inputs):
            self._request.set_input_tensor(number, tensor)
        self.set_input(*arrays)

    def infer(self) -> None:
        """Infer once, synchronously; the output is not copied."""
        self._request.infer(share_outputs=True)
        self._inferred = True

    def output(self) -> np.ndarray:
        """Return a copy of the output; infers first if nothing has been."""
        import numpy as np

        if not self._inferred:
            self.infer()
        return one_array([np.array(each.data, dtype=np.float32) for each in self._request.output_tensors])

    def inputs(self) -> list[np.ndarray]:
        """Return copies of the inputs."""
        return [each.data.copy() for each in self._inputs]

    def set_input(self, *arrays: np.ndarray) -> None:
        """Copy the arrays into the inputs."""
        bound = [each.data for each in self._inputs]
        check(arrays, [(str(each.dtype), each.shape) for each in bound])
        for target, given in zip(bound, arrays, strict=True):
            target[:] = given

    def layers(self, calls: int) -> list[dict[str, object]]:
        """
        Return what the profiler says of each layer that ran, mean seconds of steady calls, to about 1 µs.

        The plugin gives each layer's mean over all calls since compiling, in whole microseconds (seen in
        2026.4), and the first call packs weights: what the calls to settle took is taken off.
        """
        settling, steady = _SETTLING_CALLS, max(calls, _STEADY_CALLS)
        before = self._mean_seconds(settling)
        after = self._mean_seconds(steady)
        return [
            {
                "name": name,
                "kind": kind,
                "modules": openvino_graph.modules(one),
                "macs": openvino_graph.macs(one),
                "seconds": max(
                    0.0,
                    ((settling + steady) * after.get(name, 0.0) - settling * before.get(name, 0.0)) / steady,
                ),
                "counts": {},
            }
            for name, kind, one in openvino_graph.executed(self._compiled, self._request)
        ]

    def _mean_seconds(self, calls: int) -> dict[str, float]:
        """After so many calls more: the mean of all calls, by the name of a layer."""
        for _ in range(calls):
            self.infer()
        return {one.node_name: one.real_time.total_seconds() for one in self._request.get_profiling_info()}

    def facts(self) -> dict[str, object]:
        """Read back the compiled model's properties and each layer's kernel; does not infer."""
        ov = openvino()

        layers = openvino_graph.layers(self._compiled)
        operations = [each for each in layers if each.computes]
        kernels = Counter(f"{each.kind} {each.kernel}" for each in layers)
        formats = Counter(each.layout for each in layers if each.kind == "Convolution")
        layout = formats.most_common(1)[0][0] if formats else None
        read = self._compiled.get_property
        return {
            "device": ",".join(read("EXECUTION_DEVICES")),
            "precision": openvino_graph.multiplied_in(operations, _hint(self._compiled)),
            "threads": _threads(self._compiled),
            "streams": int(read("NUM_STREAMS")),
            "memory_format": _LAYOUTS.get(layout, layout) if layout else None,
            "compile_s": self._compile_s,
            "isa": summary(kernels),
            "isa_not_known": sum(number for name, number in kernels.items() if summary({name: 1}) is None),
            "kernels": dict(kernels),
            "operations": dict(Counter(each.precision for each in operations)),
            "operation_macs": openvino_graph.macs_by_precision(operations),
            "versions": {"openvino": ov.__version__},
        }


def _converted(model: Model, tensors: Sequence[torch.Tensor]) -> Any:
    ov = openvino()
    import torch

    if isinstance(model, Path):
        return ov.Core().read_model(model)
    example = tensors[0] if len(tensors) == 1 else tuple(tensors)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: the outputs are compared
        if isinstance(model, torch.export.ExportedProgram):
            return ov.convert_model(model)
        if not isinstance(
            model, torch.jit.ScriptModule
        ):  # traced once, where the converter would trace twice
            model = torch.jit.trace(  # type: ignore[no-untyped-call]
                model.eval(), example, check_trace=False, strict=False
            )
        return ov.convert_model(model, example_input=example, input=[list(x.shape) for x in tensors])


def _hint(compiled: Any) -> str:
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def _threads(compiled: Any) -> int | None:
    """Other devices than the CPU have no such property."""
    known = "INFERENCE_NUM_THREADS" in compiled.get_property("SUPPORTED_PROPERTIES")
    return int(compiled.get_property("INFERENCE_NUM_THREADS")) if known else None


def _cause(error: BaseException) -> str:
    """Return what first went wrong, in a line, without the places in OpenVINO's sources that it lists."""
    error = cause(error)
    return f"{type(error).__name__}: {reason(error)}"
