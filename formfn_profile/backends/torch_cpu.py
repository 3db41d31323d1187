"""PyTorch on the CPU, eager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formfn_profile.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch


@dataclass(frozen=True)
class TorchCpu:
    """
    PyTorch, eager, float32. `onednn` lets it choose oneDNN where it would (never, if false);
    `channels_last` holds weights and input in NHWC order instead of NCHW.
    """

    name: str
    device: str = "CPU"
    onednn: bool = True
    channels_last: bool = False

    def prepare(self, model: torch.nn.Module, x: torch.Tensor, folder: Path) -> Path:
        """Write the module and its input. The file runs code when loaded: it is this program's own."""
        import torch

        path = folder / "model.pt"
        try:
            torch.save((model, x), path)
        except Exception as error:
            raise BackendError(f"the model cannot be handed to a worker process: {error}") from error
        return path

    def load(self, prepared: Path, *, threads: int) -> TorchSession:
        """
        Load what `prepare` wrote; see `Backend.load`.

        The thread count and whether oneDNN is used are the whole process's: a later `load` changes them
        for earlier sessions too, and `facts` says so.
        """
        import torch

        torch.set_num_threads(threads)
        torch.backends.mkldnn.enabled = self.onednn  # type: ignore[assignment]
        model, x = torch.load(prepared, weights_only=False)  # written by `prepare`
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
            x = x.to(memory_format=torch.channels_last)
        return self._session(model.eval(), x)

    def _session(self, model: torch.nn.Module, x: torch.Tensor) -> TorchSession:
        return TorchSession(model, x)


class TorchSession:
    """A module and its input."""

    def __init__(self, model: torch.nn.Module, x: torch.Tensor) -> None:
        self._model = model
        self._x = x
        self._out: torch.Tensor | None = None

    def infer(self) -> None:
        """Infer once, with nothing kept for gradients."""
        import torch

        with torch.inference_mode():
            self._out = self._model(self._x)

    def output(self) -> np.ndarray:
        """Return a copy of the output; infers first if nothing has been."""
        if self._out is None:
            self.infer()
        copied: np.ndarray = self._result().float().contiguous().numpy().copy()
        return copied

    def set_input(self, x: np.ndarray) -> None:
        """Copy `x` into the input."""
        self._x.copy_(self._checked(x))

    def _checked(self, x: np.ndarray) -> torch.Tensor:
        import torch

        given = torch.from_numpy(x)
        if given.shape != self._x.shape or given.dtype != self._x.dtype:
            raise BackendError(
                f"the input is {self._x.dtype} {tuple(self._x.shape)}, but {x.dtype} {x.shape} was given"
            )
        return given

    def facts(self) -> dict[str, object]:
        """Infer once while PyTorch and its libraries report what they run; see `Session.facts`."""
        import torch

        from formfn_profile.backends import torch_kernels

        kernels, isa = torch_kernels.ran(self.infer), torch_kernels.isa()
        differ = len(set(isa.values())) > 1
        return {
            "device": str(self._result().device).upper(),
            "precision": "f32" if self._result().dtype == torch.float32 else str(self._result().dtype),
            "threads": torch.get_num_threads(),
            "memory_format": _memory_format(self._x),
            "onednn_enabled": torch.backends.mkldnn.enabled,
            "isa": ", ".join(f"{k} {v or 'not known'}" for k, v in isa.items()) if differ else isa["aten"],
            "kernels": kernels,
            "versions": {"torch": torch.__version__, **torch_kernels.versions()},
        }

    def _result(self) -> torch.Tensor:
        import torch

        if not isinstance(self._out, torch.Tensor):
            raise BackendError(f"the model returns {type(self._out).__name__}, not one tensor")
        return self._out


def _memory_format(x: torch.Tensor) -> str:
    """A tensor with one channel or one pixel is in both orders; NCHW then."""
    import torch

    if x.is_mkldnn:
        return "oneDNN's own"
    if x.is_contiguous():
        return "NCHW"
    return "NHWC" if x.is_contiguous(memory_format=torch.channels_last) else "strided"
