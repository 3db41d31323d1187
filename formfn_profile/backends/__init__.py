"""
What runs a network: one module a backend, one small interface.

The parent process *prepares* a network for a backend (files on disk), a worker process *loads* it and
infers. A new backend is one class that satisfies `Backend`, and its line in `BACKENDS`. Importing this
package loads no framework; each loads in `prepare` or `load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from formfn_profile.backends.isa import isa_environment
from formfn_profile.backends.openvino_cpu import OpenVinoCpu
from formfn_profile.backends.openvino_gpu import OpenVinoGpu
from formfn_profile.backends.torch_cpu import TorchCpu
from formfn_profile.backends.torch_onednn import TorchOneDnn
from formfn_profile.errors import UnknownBackendError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch

__all__ = ["BACKENDS", "Backend", "Session", "get", "isa_environment"]


class Session(Protocol):
    """A network loaded in a worker, its input bound."""

    def infer(self) -> None:
        """Infer once on the bound input, and do nothing else: this is what is timed and counted."""

    def output(self) -> np.ndarray:
        """Return a copy of the last inference's output, float32."""

    def set_input(self, x: np.ndarray) -> None:
        """
        Copy other values into the bound input.

        Raises:
            BackendError: The shape or the type is not the input's.
        """

    def facts(self) -> dict[str, object]:
        """
        Return what really runs, read back and JSON-ready. Infers once or not at all; never call it
        between timed calls.

        Keys of every backend: device, precision ("f32"), threads, memory_format, isa (families of vector
        instructions, "avx2" or "avx512"; more than one where kernels differ), kernels (name -> number of
        layers), versions. What could not be read is None.
        """


class Backend(Protocol):
    """A way to run networks."""

    @property
    def name(self) -> str:
        """What it is called in options and records."""

    @property
    def device(self) -> str:
        """What it runs on: "CPU", "GPU"."""

    def prepare(self, model: torch.nn.Module, x: torch.Tensor, folder: Path) -> Path:
        """
        Write what a worker needs to run `model` on `x` into `folder`, and return what `load` takes.

        Raises:
            BackendError: The model cannot be converted.
        """

    def load(self, prepared: Path, *, threads: int) -> Session:
        """
        Load a prepared network, its input bound, to run on `threads` threads.

        Raises:
            BackendError: This machine, or this network, cannot be had with this backend.
        """


BACKENDS: dict[str, Backend] = {
    each.name: each
    for each in (
        TorchCpu("torch"),
        TorchOneDnn("torch-onednn"),
        TorchCpu("torch-no-onednn", onednn=False),
        TorchCpu("torch-channels-last", channels_last=True),
        OpenVinoCpu("openvino-cpu"),
        OpenVinoGpu("openvino-gpu"),
    )
}
"""Every backend by name."""


def get(name: str) -> Backend:
    """
    Return the backend of this name.

    Raises:
        UnknownBackendError: There is none; the message names the nearest.
    """
    if name not in BACKENDS:
        raise UnknownBackendError(name, BACKENDS)
    return BACKENDS[name]
