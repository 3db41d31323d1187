"""
The operations of a network with their work and their traffic: in closed form for a pattern, and for any
module by running it on PyTorch's meta device, where tensors have shapes and no values.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from formfn_profile import flops, patterns
from formfn_profile.calibration import IMAGE_CHANNELS
from formfn_profile.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from formfn_profile.patterns import Convolution, PatternSpec

__all__ = ["KINDS", "Operation", "of_module", "of_pattern"]

KINDS = (
    "convolution",
    "pointwise",
    "grouped",
    "depthwise",
    "product",
    "normalisation",
    "activation",
    "addition",
    "other",
)
"""
Kinds of operations. A convolution is pointwise with a kernel of one pixel, depthwise with a group for each
channel, grouped with several other groups; a product is of matrices, as in a linear layer.
"""

_F32 = 4
_STATISTICS = 4  # weight, bias, mean and variance of a channel's batch norm
_ACTIVATIONS = """celu clamp clamp_min elu gelu hardsigmoid hardswish hardtanh leaky_relu mish prelu relu
    relu6 sigmoid silu softplus tanh"""
_FREE = ("aten.detach", "aten.empty_like", "aten.lift_fresh", "aten.new_empty")
_CONVOLUTIONS = ("aten.convolution", "aten._convolution")
_KINDS = {
    **dict.fromkeys((f"aten.{name}" for name in _ACTIVATIONS.split()), "activation"),
    **dict.fromkeys((f"aten.{name}_" for name in _ACTIVATIONS.split()), "activation"),
    **dict.fromkeys(("aten.add", "aten.add_"), "addition"),
}


class Operation(NamedTuple):
    """One operation of one call: its kind, multiply-accumulates, bytes of tensors read and written."""

    kind: str
    macs: int
    read: int
    written: int


def of_pattern(spec: PatternSpec) -> tuple[Operation, ...]:
    """Return a pattern's operations as PyTorch runs them, f32, by arithmetic alone."""
    pixels = spec.batch * spec.resolution**2
    block = patterns.get(spec.pattern).convolutions(spec.width, spec.expansion)
    stem = _stage(patterns.Convolution(IMAGE_CHANNELS, spec.width, (3, 3)), pixels)
    features = stem + [each for convolution in block for each in _stage(convolution, pixels)] * spec.depth
    pooled, classes = spec.batch * spec.width, spec.batch * patterns.CLASSES
    weights = (spec.width + 1) * patterns.CLASSES
    return (
        *features,
        Operation("other", 0, _F32 * spec.width * pixels, _F32 * pooled),
        Operation("product", pooled * patterns.CLASSES, _F32 * (weights + pooled), _F32 * classes),
    )


def _stage(convolution: Convolution, pixels: int) -> list[Operation]:
    """A convolution with its batch norm and ReLU."""
    weights = convolution.outputs * convolution.inputs // convolution.groups * prod(convolution.kernel)
    written = _F32 * convolution.outputs * pixels
    kind = _convolution(convolution.inputs, convolution.groups, convolution.kernel)
    return [
        Operation(kind, weights * pixels, _F32 * (convolution.inputs * pixels + weights), written),
        Operation("normalisation", 0, written + _F32 * _STATISTICS * convolution.outputs, written),
        Operation("activation", 0, written, written),
    ]


def of_module(model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[Operation, ...]:
    """
    Return the operations of one call of a module, in the mode it is in. Nothing is computed: the call is
    made with shapes alone, and the module may be on the meta device itself (``with torch.device("meta")``).

    Raises:
        NetworkError: It cannot be run with shapes alone.
    """
    import torch

    found: list[Operation] = []

    def add(operation: Any, arguments: Sequence[Any], options: Mapping[str, Any], out: Any) -> None:
        name = str(operation.overloadpacket)
        read = _bytes((*arguments, *options.values()))
        if not read or operation.is_view or name in _FREE:
            return
        macs = flops.macs_of(operation.overloadpacket, (arguments, options, out)) or 0
        found.append(Operation(_kind(name, arguments, macs), macs, read, _bytes((out,))))

    call, shapes = _on_meta(model), [torch.empty_like(each, device="meta") for each in inputs]
    try:
        with torch.no_grad(), torch.device("meta"), flops.dispatched(add, _stand_in):
            call(*shapes)
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NetworkError(
            f"the operations of {type(model).__name__} cannot be told without running it: {said[0]}"
        ) from error
    return tuple(found)


def _stand_in(operation: Any, arguments: Sequence[Any]) -> Any:
    """
    The results of what keeps a tensor's shape, which the meta device takes milliseconds to work out: an
    activation's, and a batch norm's, which on the CPU come without a batch's statistics.
    """
    import torch

    name = str(operation.overloadpacket)
    if name == "aten._native_batch_norm_legit_no_training":
        x = arguments[0]
        return torch.empty_like(x), x.new_empty(0), x.new_empty(0)
    if _KINDS.get(name) == "activation":
        return arguments[0] if name.endswith("_") else torch.empty_like(arguments[0])
    return None


def _on_meta(model: torch.nn.Module) -> Callable[..., Any]:
    """The module with weights that are shapes; its own are left as they are."""
    import torch

    named = [*model.named_parameters(), *model.named_buffers()]
    if all(value.is_meta for _, value in named):
        return model
    shapes = {name: torch.empty_like(value, device="meta") for name, value in named}
    return lambda *inputs: torch.func.functional_call(model, shapes, inputs)


def _kind(name: str, arguments: Sequence[Any], macs: int) -> str:
    if name in _CONVOLUTIONS:
        channels, weight, groups = arguments[0].shape[1], arguments[1], arguments[8]
        return _convolution(channels, groups, weight.shape[2:])
    if macs:
        return "product"
    if name.endswith("_norm") or "_norm_" in name:
        return "normalisation"
    return _KINDS.get(name, "other")


def _convolution(channels: int, groups: int, kernel: Sequence[int]) -> str:
    if groups > 1:
        return "depthwise" if groups == channels else "grouped"
    return "pointwise" if prod(kernel) == 1 else "convolution"


def _bytes(values: Any) -> int:
    """Bytes of the tensors among values, and in lists of them."""
    import torch

    total = 0
    for each in values:
        if isinstance(each, torch.Tensor):
            total += each.numel() * each.element_size()
        elif isinstance(each, (list, tuple)):
            total += _bytes(each)
    return total
