"""PyTorch on the CPU, eager."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile.backends.inputs import as_tuple, check, one_array
from formfn_profile.backends.isa import exceeded_cap
from formfn_profile.errors import BackendError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch

    from formfn_profile.backends.inputs import Model, Read

__all__ = ["TorchCpu", "TorchSession"]

_PRECISIONS = {"torch.float32": "f32", "torch.float16": "f16", "torch.bfloat16": "bf16"}


@dataclass(frozen=True)
class TorchCpu:
    """
    PyTorch, eager. `onednn` lets it choose oneDNN where it would (never, if false);
    `channels_last` holds weights and input in NHWC order instead of NCHW.
    """

    name: str
    device: str = "CPU"
    onednn: bool = True
    channels_last: bool = False
    layers_countable: bool = True
    quantizes: bool = False

    def imports(self) -> None:
        """Import PyTorch, and learn what its libraries say of themselves."""
        import torch  # noqa: F401

        from formfn_profile.backends import torch_kernels

        torch_kernels.learn()

    def prepare(self, model: Model, inputs: torch.Tensor | Sequence[torch.Tensor], folder: Path) -> Path:
        """
        Write the model and its inputs; a module by value where it was defined in a script or a notebook.

        The file runs code when loaded: it is this program's own, in a folder that is the user's alone.
        """
        import cloudpickle
        import torch

        if isinstance(model, Path):
            raise UnavailableError(
                f"{self.name} cannot run {model.name}: PyTorch reads no {model.suffix} files. Give the module"
                " (package.module:function) or what torch.export saved (.pt2)"
            )
        path = folder / "model.pt"
        torch.save(as_tuple(inputs), inputs_path(path))
        try:
            if isinstance(model, torch.export.ExportedProgram):
                path = folder / "model.pt2"
                torch.export.save(model, path)
            elif isinstance(model, torch.jit.ScriptModule):
                path = folder / "model.ts"
                torch.jit.save(model, path)
            else:
                torch.save(model, path, pickle_module=cloudpickle)
        except Exception as error:
            raise BackendError(f"the model cannot be handed to a worker process: {error}") from error
        return path

    def load(self, prepared: Path, *, threads: int, precision: str = "f32") -> TorchSession:
        """
        Load what `prepare` wrote; see `Backend.load`.

        The thread count and whether oneDNN is used are the whole process's: a later `load` changes them
        for earlier sessions too, and `facts` says so.
        """
        import torch

        dtype = _dtype(precision)
        if dtype == torch.bfloat16 and not _has_bf16_kernels():
            raise UnavailableError(
                f"{self.name}: PyTorch has no bf16 kernels for this processor (the simulated one has AVX2 and"
                " no more, and so has one under --isa avx2), and would convert to f32 and back"
            )
        torch.set_num_threads(threads)
        torch.backends.mkldnn.enabled = self.onednn  # type: ignore[assignment]
        inputs: tuple[torch.Tensor, ...] = torch.load(inputs_path(prepared), weights_only=True)
        model: torch.nn.Module
        if prepared.suffix == ".pt2":
            model = torch.export.load(prepared).module()
        elif prepared.suffix == ".ts":
            model = torch.jit.load(prepared)  # type: ignore[no-untyped-call]
            model.eval()
        else:
            model = torch.load(prepared, weights_only=False)  # written by `prepare`  # nosec B614
            model.eval()
        if dtype != torch.float32:
            model = model.to(dtype)
            inputs = tuple(x.to(dtype) if x.dtype == torch.float32 else x for x in inputs)
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            inputs = tuple(x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs)
        return self._session(model, inputs)

    def layers(
        self, prepared: Path, *, threads: int, precision: str, calls: int, read: Read
    ) -> list[dict[str, object]]:
        """Read counts and clock at the boundaries of modules; see `Backend.layers`."""
        from formfn_profile.backends import torch_layers

        session = self.load(prepared, threads=threads, precision=precision)
        return torch_layers.measure(session.model, session.infer, calls, read)

    def _session(self, model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> TorchSession:
        return TorchSession(model, inputs)


class TorchSession:
    """A module, or what was compiled of one, and its inputs."""

    def __init__(self, model: Any, inputs: Sequence[torch.Tensor]) -> None:
        self.model = model
        self._inputs = tuple(inputs)
        self._out: Any = None

    def infer(self) -> None:
        """Infer once, with nothing kept for gradients."""
        import torch

        with torch.inference_mode():
            self._out = self.model(*self._inputs)

    def output(self) -> np.ndarray:
        """Return a copy of the output; infers first if nothing has been."""
        if self._out is None:
            self.infer()
        return one_array([each.float().contiguous().numpy().copy() for each in self._results()])

    def inputs(self) -> list[np.ndarray]:
        """Return copies of the inputs; narrower than float32 as float32."""
        import torch

        dense = [x.to_dense() if x.is_mkldnn else x for x in self._inputs]
        narrow = (torch.float16, torch.bfloat16)
        return [(x.float() if x.dtype in narrow else x).contiguous().numpy().copy() for x in dense]

    def set_input(self, *arrays: np.ndarray) -> None:
        """Copy the arrays into the inputs."""
        for bound, given in zip(self._inputs, self._checked(arrays), strict=True):
            bound.copy_(given)

    def _checked(self, arrays: Sequence[np.ndarray]) -> list[torch.Tensor]:
        import torch

        # What narrower precision runs is still given as float32.
        kinds = [
            "float32" if x.is_floating_point() and x.dtype != torch.float64 else str(x.dtype).split(".")[1]
            for x in self._inputs
        ]
        check(arrays, [(kind, tuple(x.shape)) for kind, x in zip(kinds, self._inputs, strict=True)])
        return [torch.from_numpy(each) for each in arrays]

    def families(self) -> dict[str, str | None]:
        """Return the vector family of each library that runs layers, None where it doesn't say."""
        from formfn_profile.backends import torch_kernels

        return torch_kernels.isa()

    def facts(self) -> dict[str, object]:
        """Infer once while PyTorch and its libraries report what they run; see `Session.facts`."""
        import torch

        from formfn_profile.backends import torch_kernels

        kernels, isa = torch_kernels.ran(self.infer), self.families()
        told = {library: family for library, family in isa.items() if family}
        result = self._results()[0]
        return {
            "device": str(result.device).upper(),
            "precision": _PRECISIONS.get(str(result.dtype), str(result.dtype)),
            "threads": torch.get_num_threads(),
            "memory_format": _memory_format(self._inputs[0]),
            "compile_s": None,
            "onednn_enabled": torch.backends.mkldnn.enabled,
            "isa": _agreed(told),
            "isa_not_known": [library for library in isa if library not in told],
            "kernels": kernels,
            "versions": {"torch": torch.__version__, **torch_kernels.versions()},
        }

    def _results(self) -> list[torch.Tensor]:
        import torch
        from torch.utils import _pytree

        leaves = _pytree.tree_leaves(self._out)
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if not tensors:
            raise BackendError(f"the model returns {type(self._out).__name__}, which holds no tensor")
        return tensors


def _agreed(told: Mapping[str, str]) -> str | None:
    """The one family that all libraries that tell theirs use; each library with its own where they differ."""
    families = set(told.values())
    if len(families) > 1:
        return ", ".join(f"{library} {family}" for library, family in told.items())
    return families.pop() if families else None


def _dtype(precision: str) -> torch.dtype:
    import torch

    known = {name: getattr(torch, long.split(".")[1]) for long, name in _PRECISIONS.items()}
    if precision not in known:
        raise BackendError(f"PyTorch has no precision {precision!r}. There is: {', '.join(known)}")
    dtype: torch.dtype = known[precision]
    return dtype


def _has_bf16_kernels() -> bool:
    """Whether PyTorch's oneDNN takes bf16 here: on x86-64 from AVX-512 on."""
    import torch

    known = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - it has no other name
    return bool(known) and not exceeded_cap()


def inputs_path(model: Path) -> Path:
    """Return where `prepare` puts the inputs of a model that it wrote."""
    return model.with_name("inputs.pt")


def _memory_format(x: torch.Tensor) -> str:
    """A tensor with one channel or one pixel is in both orders; NCHW then."""
    import torch

    if x.is_mkldnn:
        return "oneDNN's own"
    if x.is_contiguous():
        return "NCHW"
    return "NHWC" if x.is_contiguous(memory_format=torch.channels_last) else "strided"
