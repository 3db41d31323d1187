"""What a backend is given: a model in one of a few forms, its input tensors, a way to read counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from formfn_profile.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from torch.export import ExportedProgram

    Model: TypeAlias = torch.nn.Module | ExportedProgram | Path
    """A module (a scripted one too), an exported program, or a file of another library's (ONNX, IR)."""


@dataclass(frozen=True)
class Read:
    """
    A way to read the process's counts: `now` gives them as numbers, at little cost; `events` names the
    differences of two such readings. `tell_apart`, where the counts can be told apart by address, takes
    the ranges (first address, bytes) of weights and those of activations.
    """

    now: Callable[[], Sequence[int]]
    events: Callable[[Sequence[int]], dict[str, int]]
    tell_apart: Callable[[Sequence[Sequence[tuple[int, int]]]], None] | None = None


def as_tuple(inputs: torch.Tensor | Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the inputs as a tuple; a single tensor is one input."""
    return tuple(inputs) if isinstance(inputs, Sequence) else (inputs,)


def keep(model: Path, inputs: Sequence[torch.Tensor]) -> None:
    """Write the inputs of a prepared model beside its file."""
    import numpy as np

    np.savez(model.with_suffix(".npz"), *(each.numpy() for each in inputs))


def kept(model: Path) -> list[np.ndarray]:
    """Return what `keep` wrote."""
    import numpy as np

    with np.load(model.with_suffix(".npz")) as file:
        return [file[name] for name in file.files]


def check(given: Sequence[np.ndarray], bound: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """
    Hold arrays against the (type, shape) of the bound inputs.

    Raises:
        BackendError: Their number, a shape or a type differs.
    """
    if len(given) != len(bound):
        raise BackendError(f"the network has {len(bound)} inputs, but {len(given)} were given")
    for array, (kind, shape) in zip(given, bound, strict=True):
        if str(array.dtype) != kind or array.shape != shape:
            raise BackendError(f"the input is {kind} {shape}, but {array.dtype} {array.shape} was given")


def one_array(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return a single output as it is, several one after the other in one dimension."""
    import numpy as np

    if len(outputs) == 1:
        return outputs[0]
    return np.concatenate([each.ravel() for each in outputs])
