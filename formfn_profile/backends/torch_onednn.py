"""
PyTorch made to use oneDNN for all it can: tensors stay in oneDNN's own formats from layer to layer.

This is the paper's "optimized" form. What oneDNN tensors cannot do (a view, a pooling of some kind) runs on
an ordinary copy, whose result is converted back; `facts` lists those operations under `fallbacks`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile.backends.torch_cpu import TorchCpu, TorchSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import torch


@dataclass(frozen=True)
class TorchOneDnn(TorchCpu):
    """Eager PyTorch on explicit oneDNN tensors."""

    def _session(self, model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> TorchSession:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scripting, which PyTorch's own converter does
            from torch.utils import mkldnn

            converted = mkldnn.to_mkldnn(model)  # type: ignore[no-untyped-call]
        return OneDnnSession(converted, inputs)


class OneDnnSession(TorchSession):
    """A module whose weights and activations are oneDNN tensors."""

    def __init__(self, model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__(model, [_onednn(x) for x in inputs])
        self._fallen: Counter[str] = Counter()
        self._mode = _falling_back(self._fallen)

    def infer(self) -> None:
        """Infer once; the result is an ordinary tensor."""
        import torch

        with torch.inference_mode(), self._mode:
            self._out = _mapped(self.model(*self._inputs), "to_dense", onednn=True)

    def set_input(self, *arrays: np.ndarray) -> None:
        """Bind the arrays, converted, as the inputs."""
        self._inputs = tuple(map(_onednn, self._checked(arrays)))

    def facts(self) -> dict[str, object]:
        """As for any PyTorch session, and `fallbacks`: name of an operation -> calls in one inference."""
        self._fallen.clear()
        told = super().facts()
        return told | {"fallbacks": dict(self._fallen)}


def _onednn(x: torch.Tensor) -> torch.Tensor:
    import torch

    return x.to_mkldnn() if x.dtype == torch.float32 else x


def _falling_back(fallen: Counter[str]) -> Any:
    from torch.overrides import TorchFunctionMode

    unable: set[Any] = set()

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., Any],
            types: Any,
            args: tuple[Any, ...] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            options = dict(kwargs or {})
            if func not in unable:
                try:
                    return func(*args, **options)
                except RuntimeError:
                    if not _any_onednn((args, options)):
                        raise
                    unable.add(func)
            if not _any_onednn((args, options)):
                return func(*args, **options)
            fallen[getattr(func, "__name__", str(func))] += 1
            plain_args, plain_options = _mapped((args, options), "to_dense", onednn=True)
            return _mapped(func(*plain_args, **plain_options), "to_mkldnn", onednn=False)

    return Mode()


def _any_onednn(tree: Any) -> bool:
    import torch
    from torch.utils import _pytree

    return any(leaf.is_mkldnn for leaf in _pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def _mapped(tree: Any, method: str, *, onednn: bool) -> Any:
    """Convert the float32 tensors of a nested structure that are oneDNN's, or that are not."""
    import torch
    from torch.utils import _pytree

    def convert(leaf: torch.Tensor) -> torch.Tensor:
        if leaf.is_mkldnn != onednn or leaf.dtype != torch.float32 or not leaf.dim():
            return leaf
        converted: torch.Tensor = getattr(leaf, method)()
        return converted

    return _pytree.tree_map_only(torch.Tensor, convert, tree)
