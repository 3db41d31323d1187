"""A module that is in memory, packed so that other processes can have it."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from formfn_profile import networks, patterns
from formfn_profile.errors import NetworkError
from formfn_profile.models import DTYPES, Built, Input, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


def pack(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor | Input | str], name: str | None = None
) -> ModelSpec:
    """
    Return what stands for `model` and its `inputs` as they are now: weights, values and, where it was
    defined in a script or a notebook, its code. Records call it `name`, else by its class, and know it again
    by the SHA-256 of all this.

    Raises:
        NetworkError: It cannot be packed, an input has a type that is not known, or the name is taken.
    """
    import cloudpickle
    import torch

    called = name or type(model).__name__
    if called in networks.NETWORKS or called in patterns.PATTERNS:
        raise NetworkError(f"{called} is the name of a network of ours: give yours another with name=")
    if isinstance(model, torch.jit.ScriptModule):
        raise NetworkError(
            f"{called} is TorchScript, which is handed over as a file: torch.jit.save it, and give the file's"
            " name (.pt)"
        )
    values = tensors(inputs)
    if not values:
        raise NetworkError(f'give the inputs of {called}: a tensor, or a shape such as "1x3x224x224"')
    told = tuple(Input(tuple(each.shape), _dtype(each)) for each in values)
    packed = io.BytesIO()
    try:
        torch.save((model, values), packed, pickle_module=cloudpickle)
    except Exception as error:
        raise NetworkError(f"{called} cannot be handed to another process: {error}") from error
    content = packed.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    batch = told[0].shape[0] if told[0].shape else 1
    return ModelSpec(called, told, batch=batch, digest=digest, packed=content)


def unpack(spec: ModelSpec) -> Built:
    """Return the module of `spec`, in evaluation mode, and its inputs."""
    import torch

    packed = io.BytesIO(spec.packed or b"")
    model, inputs = torch.load(packed, map_location="cpu", weights_only=False)  # written by `pack`  # nosec B614
    return Built(model.eval(), inputs)


def tensors(inputs: Sequence[torch.Tensor | Input | str]) -> tuple[torch.Tensor, ...]:
    """
    Return tensors as they are, and seeded values of the shapes that stand for some.

    Raises:
        NetworkError: A shape cannot be read.
    """
    shapes = [Input.parse(each) if isinstance(each, str) else each for each in inputs]
    return tuple(
        each.tensor(seed=n) if isinstance(each, Input) else each.detach() for n, each in enumerate(shapes)
    )


def _dtype(value: torch.Tensor) -> str:
    name = str(value.dtype).removeprefix("torch.")
    known = {long: short for short, long in DTYPES.items()}
    if name not in known:
        raise NetworkError(f"an input is {name}, which is not one of {', '.join(known)}")
    return known[name]
