"""
ONNX Runtime on the CPU: its own CPU kernels (MLAS), one session. The worker's part never imports PyTorch.

MLAS chooses its kernels by CPUID and tells neither which nor how it could be held to others: `isa` is None.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile.backends.inputs import as_tuple, check, keep, kept, one_array
from formfn_profile.backends.isa import exceeded_cap
from formfn_profile.backends.torch_export import exported
from formfn_profile.brief import cause
from formfn_profile.errors import BackendError, FormfnError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch

    from formfn_profile.backends.inputs import Model, Read

_PROVIDER = "CPUExecutionProvider"
_KERNEL_TIME = "_kernel_time"
_PRECISIONS = {"float": "f32", "float16": "f16", "bfloat16": "bf16", "double": "f64"}
_SETTLING_CALLS = 2
_SPINNING = "session.intra_op.allow_spinning"
_GIVE = "Give ONNX, the module (package.module:function) or what torch.export saved (.pt2)"


@dataclass(frozen=True)
class OnnxRuntime:
    """ONNX Runtime on the CPU: static shapes, every optimisation of the graph, threads that wait asleep."""

    name: str
    device: str = "CPU"
    layers_countable: bool = False
    quantizes: bool = False

    def imports(self) -> None:
        """Import ONNX Runtime."""
        _onnxruntime(self.name)

    def prepare(self, model: Model, inputs: torch.Tensor | Sequence[torch.Tensor], folder: Path) -> Path:
        """Export to ONNX, or take an ONNX file, every dimension fixed."""
        import torch

        if isinstance(model, Path) and model.suffix != ".onnx":
            raise UnavailableError(
                f"{self.name} cannot run {model.name}: ONNX Runtime reads no {model.suffix} files. {_GIVE}"
            )
        if isinstance(model, torch.jit.ScriptModule):
            raise UnavailableError(
                f"{self.name} cannot run TorchScript, which PyTorch's exporter to ONNX does not take. {_GIVE}"
            )
        for needed in ("onnx", "onnxscript"):
            if find_spec(needed) is None:
                raise _not_installed(self.name, needed)
        tensors = as_tuple(inputs)
        path = folder / "model.onnx"
        try:
            if isinstance(model, Path):
                _fix(model, [tuple(x.shape) for x in tensors], path)
            else:
                _export(exported(model, tensors, self.name), path)
        except FormfnError:
            raise
        except Exception as error:
            raise BackendError(f"the model cannot be had as ONNX: {_cause(error)}") from error
        keep(path, tensors)
        return path

    def load(self, prepared: Path, *, threads: int, precision: str = "f32") -> OnnxRuntimeSession:
        """Make a session of what `prepare` wrote; see `Backend.load`."""
        ort = _onnxruntime(self.name)
        if precision != "f32":
            raise UnavailableError(f"{self.name} runs f32 here, not {precision}")
        if cap := exceeded_cap():
            raise UnavailableError(
                f"{self.name}: nothing holds ONNX Runtime's kernels to {cap} on this CPU, which has wider"
                " vectors. Measure this backend without --isa"
            )
        return OnnxRuntimeSession(ort, prepared, threads)

    def layers(
        self,
        prepared: Path,
        *,
        threads: int,
        precision: str,
        calls: int,
        read: Read,  # noqa: ARG002 - there is no boundary to read at
    ) -> list[dict[str, object]]:
        """Return ONNX Runtime's own times of its layers, which it fuses from those of the model."""
        return self.load(prepared, threads=threads, precision=precision).layers(calls)


class OnnxRuntimeSession:
    """A session, and inputs and outputs that stay in the same memory."""

    def __init__(self, ort: Any, prepared: Path, threads: int) -> None:

        self._ort, self._prepared = ort, prepared
        options = _options(ort, threads)
        started = time.perf_counter()
        self._session = _session(ort, prepared, options)
        self._compile_s = time.perf_counter() - started
        arrays = kept(prepared)
        self._bound = [(str(each.dtype), each.shape) for each in arrays]
        self._inputs = [ort.OrtValue.ortvalue_from_numpy(each) for each in arrays]  # in the arrays' memory
        names = [each.name for each in self._session.get_inputs()]
        if len(names) != len(arrays):
            raise BackendError(f"the network has {len(names)} inputs, but {len(arrays)} were given")
        self._feeds = dict(zip(names, self._inputs, strict=True))
        self._binding = self._session.io_binding()
        for name, value in self._feeds.items():
            self._binding.bind_ortvalue_input(name, value)
        # A first run tells the outputs' shapes.
        self._outputs = self._session.run_with_ort_values(None, self._feeds)
        for each, value in zip(self._session.get_outputs(), self._outputs, strict=True):
            self._binding.bind_ortvalue_output(each.name, value)

    def infer(self) -> None:
        """Infer once, into the same outputs."""
        self._session.run_with_iobinding(self._binding)

    def output(self) -> np.ndarray:
        """Return a copy of the output; making the session has inferred."""
        import numpy as np

        return one_array([np.array(each.numpy(), dtype=np.float32) for each in self._outputs])

    def inputs(self) -> list[np.ndarray]:
        """Return copies of the inputs."""
        return [each.numpy().copy() for each in self._inputs]

    def set_input(self, *arrays: np.ndarray) -> None:
        """Copy the arrays into the inputs."""
        import numpy as np

        check(arrays, self._bound)
        for value, array in zip(self._inputs, arrays, strict=True):
            value.update_inplace(np.ascontiguousarray(array))

    def layers(self, calls: int) -> list[dict[str, object]]:
        """Return what the profiler says of each node of the optimised graph, to 1 µs, medians of `calls`."""
        events = self._profile(_SETTLING_CALLS + calls)
        nodes = len(events) // (_SETTLING_CALLS + calls)
        steady = events[_SETTLING_CALLS * nodes :]
        return [
            {
                "name": _name(event),
                "kind": event["args"]["op_name"],
                "modules": [],
                "seconds": statistics.median(one["dur"] for one in steady[number::nodes]) / 1e6,
                "counts": {},
            }
            for number, event in enumerate(steady[:nodes])
        ]

    def facts(self) -> dict[str, object]:
        """
        Read back the session's settings, and run a profiled session of the same model once for what is left
        of the graph.

        Raises:
            BackendError: A node ran elsewhere than on the CPU's own provider.
        """
        events = self._profile(1)
        elsewhere = {each["args"]["provider"] for each in events} - {_PROVIDER}
        if elsewhere:
            raise BackendError(f"ONNX Runtime ran nodes with {', '.join(sorted(elsewhere))}, not {_PROVIDER}")
        kernels = Counter(map(_kernel, events))
        options = self._session.get_session_options()
        return {
            "device": "CPU",
            "precision": _precision(events),
            "threads": options.intra_op_num_threads,
            "memory_format": "NCHWc" if any("NCHWc" in name for name in kernels) else "NCHW",
            "compile_s": self._compile_s,
            "isa": None,
            "isa_not_known": len(events),
            "kernels": dict(kernels),
            "providers": self._session.get_providers(),
            "nodes": len(events),
            "arena": options.enable_cpu_mem_arena,
            "memory_pattern": options.enable_mem_pattern,
            "spinning": options.get_session_config_entry(_SPINNING) != "0",
            "versions": {"onnxruntime": self._ort.__version__},
        }

    def _profile(self, calls: int) -> list[dict[str, Any]]:
        """Return what a profiled session of the model tells of its nodes in so many calls, in order."""
        threads = self._session.get_session_options().intra_op_num_threads
        with tempfile.TemporaryDirectory(dir=self._prepared.parent) as folder:
            options = _options(self._ort, threads)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = _session(self._ort, self._prepared, options)
            for _ in range(calls):
                session.run_with_ort_values(None, self._feeds)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return [each for each in events if each["cat"] == "Node" and each["name"].endswith(_KERNEL_TIME)]


def _onnxruntime(wants: str) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise _not_installed(wants, "onnxruntime") from None
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _not_installed(wants: str, needed: str) -> UnavailableError:
    return UnavailableError(
        f"{wants} needs {needed}, which is not installed: pip install 'formfn-profile[onnxruntime]'"
    )


def _options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry(_SPINNING, "0")
    options.log_severity_level = 3  # errors
    return options


def _session(ort: Any, path: Path, options: Any) -> Any:
    try:
        return ort.InferenceSession(str(path), options, providers=[_PROVIDER])
    except Exception as error:  # its exceptions have no common class
        raise BackendError(f"ONNX Runtime cannot take the model: {_cause(error)}") from error


def _export(program: Any, path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        torch.onnx.export(program, (), path, dynamo=True, verbose=False)


def _fix(source: Path, shapes: Sequence[tuple[int, ...]], path: Path) -> None:
    """Write an ONNX file with its inputs' dimensions fixed to `shapes`."""
    import onnx

    model = onnx.load(source)
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != len(shapes):
        raise BackendError(f"the network has {len(inputs)} inputs, but {len(shapes)} were given")
    for each, shape in zip(inputs, shapes, strict=True):
        dimensions = each.type.tensor_type.shape.dim
        del dimensions[:]
        for size in shape:
            dimensions.add().dim_value = size
    onnx.save(model, path)


def _name(event: dict[str, Any]) -> str:
    return str(event["name"]).removesuffix(_KERNEL_TIME)


def _kernel(event: dict[str, Any]) -> str:
    """An operation of the optimised graph; one in MLAS's blocked layout is told by its node's name alone."""
    blocked = " NCHWc" if "nchwc" in _name(event).lower() else ""
    return f"{event['args']['op_name']}{blocked}"


def _precision(events: Sequence[dict[str, Any]]) -> str:
    """The types of floating-point numbers that the nodes give, the most frequent first."""
    types = Counter(kind for each in events for one in each["args"]["output_type_shape"] for kind in one)
    return ", ".join(_PRECISIONS[kind] for kind, _ in types.most_common() if kind in _PRECISIONS)


def _cause(error: BaseException) -> str:
    """Return what first went wrong, in a line."""
    error = cause(error)
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{type(error).__name__}: {lines[0]}"
