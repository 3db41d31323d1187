"""
What runs a network: one module a backend, one small interface.

The parent process *prepares* a network for a backend (files on disk), a worker process *loads* it and
infers. A new backend is one class that satisfies `Backend`, and its line in `BACKENDS`. Importing this
package loads no framework; each loads in `prepare` or `load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from formfn_profile.backends.isa import isa_environment
from formfn_profile.backends.onnxruntime_cpu import OnnxRuntime
from formfn_profile.backends.openvino_cpu import OpenVinoCpu
from formfn_profile.backends.openvino_gpu import OpenVinoGpu
from formfn_profile.backends.torch_compile import TorchCompile
from formfn_profile.backends.torch_cpu import TorchCpu
from formfn_profile.backends.torch_onednn import TorchOneDnn
from formfn_profile.errors import UnknownBackendError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import torch

    from formfn_profile.backends.inputs import Model, Read

__all__ = ["BACKENDS", "Backend", "Session", "get", "isa_environment"]


class Session(Protocol):
    """A network loaded in a worker, its inputs bound."""

    def infer(self) -> None:
        """Infer once on the bound inputs, and do nothing else: this is what is timed and counted."""

    def output(self) -> np.ndarray:
        """
        Return a copy of the last inference's output, float32; several outputs one after the other, in one
        dimension. Infers first if nothing has been.
        """

    def inputs(self) -> list[np.ndarray]:
        """Return copies of the bound inputs, as `set_input` takes them."""

    def set_input(self, *arrays: np.ndarray) -> None:
        """
        Copy other values into the bound inputs.

        Raises:
            BackendError: Their number, a shape or a type is not the inputs'.
        """

    def facts(self) -> dict[str, object]:
        """
        Return what really runs, read back and JSON-ready. Infers once or not at all, be it the first time;
        never call it between timed calls.

        Keys of every backend: device, precision ("f32"; of what ran, not of what was asked for), threads,
        memory_format, isa (families of vector instructions, "avx2" or "avx512"; more than one where kernels
        differ), kernels (name -> number of layers), compile_s (seconds in compiling alone; None where nothing
        is compiled), versions. What could not be read is None. Where it is told: operations and
        operation_macs (precision -> number of operations that a kernel computed in it, and their MACs).
        """


class Backend(Protocol):
    """A way to run networks."""

    @property
    def name(self) -> str:
        """What it is called in options and records."""

    @property
    def device(self) -> str:
        """What it runs on: "CPU", "GPU"."""

    @property
    def layers_countable(self) -> bool:
        """Whether counts can be read between its layers."""

    @property
    def quantizes(self) -> bool:
        """Whether it runs int8: what `prepare` writes is IR, which `quantization.quantize` takes."""

    def imports(self) -> None:
        """Import what `load` needs and compute nothing: a worker does it once, before its forked children."""

    def prepare(self, model: Model, inputs: torch.Tensor | Sequence[torch.Tensor], folder: Path) -> Path:
        """
        Write what a worker needs to run `model` on `inputs` into `folder`, and return what `load` takes.

        Raises:
            UnavailableError: This backend runs no such model.
            BackendError: The model cannot be converted.
        """

    def load(self, prepared: Path, *, threads: int, precision: str = "f32") -> Session:
        """
        Load a prepared network, its inputs bound, to run on `threads` threads in `precision`: "f32",
        "f16", "bf16", "int8" (of a network that was quantized).

        Raises:
            UnavailableError: This machine has no such device, package or compiler, or the backend no such
                precision.
            BackendError: This network cannot be had with this backend.
        """

    def layers(
        self, prepared: Path, *, threads: int, precision: str, calls: int, read: Read
    ) -> list[dict[str, object]]:
        """
        Load a prepared network and return its layers in the order of a call, medians over `calls` calls.

        Each is a mapping of name (its module's path, or the library's word), kind, modules (paths of those
        that it is made of), macs where the library tells shapes, seconds, and counts (event -> what `read`
        counted in it; empty where there is no boundary to read at).

        Raises:
            UnavailableError: The backend tells none.
        """


BACKENDS: dict[str, Backend] = {
    each.name: each
    for each in (
        TorchCpu("torch"),
        TorchOneDnn("torch-onednn"),
        TorchCpu("torch-no-onednn", onednn=False),
        TorchCpu("torch-channels-last", channels_last=True),
        TorchCompile("torch-compile"),
        OnnxRuntime("onnxruntime"),
        OpenVinoCpu("openvino-cpu"),
        OpenVinoGpu("openvino-gpu"),
    )
}
"""Every backend by name. One more GPU than the first is named by its number, as "openvino-gpu.1"."""


def get(name: str) -> Backend:
    """
    Return the backend of this name.

    Raises:
        UnknownBackendError: There is none; the message names the nearest.
    """
    family, _, number = name.partition(".")
    if family == "openvino-gpu" and number.isdecimal():
        return OpenVinoGpu(name, f"GPU.{number}")
    if name not in BACKENDS:
        raise UnknownBackendError(name, BACKENDS)
    return BACKENDS[name]
