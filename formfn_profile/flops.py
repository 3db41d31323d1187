"""
Count the work of a network: multiply-accumulates (MACs), FLOPs (always 2 x MACs), parameters, bytes.

The network runs once, and every operation that PyTorch dispatches is looked up by name, so functional
calls, shared modules and operators (`x @ w`) count like layers. Formulas are `FORMULAS`, then PyTorch's
own (`torch.utils.flop_counter.flop_registry`). An operation that has none is named in `uncounted` with
the number of its calls, never taken for zero work in silence. By convention, normalisation, pooling,
activations and element-wise arithmetic have none.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import torch

__all__ = ["FORMULAS", "FlopCount", "ModuleCount", "count"]

Formula = Callable[[Sequence[Any], Mapping[str, Any], Any], int]

_MOVES = """_to_copy arange cat clone constant_pad_nd contiguous copy_ detach empty empty_like fill_ full
    full_like lift_fresh new_empty new_full new_zeros ones ones_like scalar_tensor stack zero_ zeros
    zeros_like"""
MOVES = {f"aten.{name}" for name in _MOVES.split()}
"""Operations that create, copy or arrange data and compute nothing; views are known as such by PyTorch."""


def _attention(arguments: Sequence[Any], _: Mapping[str, Any], __: Any) -> int:
    """Queries x keys, then scores x values: B·H·L·S·(D + Dv)."""
    query, _key, value = arguments[:3]
    macs: int = prod(query.shape[:-1]) * value.shape[-2] * (query.shape[-1] + value.shape[-1])
    return macs


FORMULAS: dict[str, Formula] = {
    "aten.mv": lambda arguments, _, __: int(arguments[0].numel()),
    "aten.addmv": lambda arguments, _, __: int(arguments[1].numel()),
    "aten.dot": lambda arguments, _, __: int(arguments[0].numel()),
    "aten.vdot": lambda arguments, _, __: int(arguments[0].numel()),
    "aten._scaled_dot_product_flash_attention_for_cpu": _attention,
}
"""
Name of an operation -> function of (arguments, keyword arguments, result) -> MACs, not FLOPs.

Names are as `str(torch.ops.aten.mv)` gives them. Add to it, or replace; an entry here comes before
PyTorch's own.
"""


@dataclass
class ModuleCount:
    """What ran inside one module, its children included, over all its calls."""

    macs: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)

    @property
    def flops(self) -> int:
        """2 x MACs."""
        return 2 * self.macs


@final
@dataclass(frozen=True)
class FlopCount:
    """
    The work of one call over the whole batch.

    `parameter_bytes` are of the parameters, each once; `activation_bytes` of all tensors that operations
    wrote, views and results in place not counted again. `by_operator` holds MACs by name; `by_module`
    the same by dotted path, "" being the whole. `uncounted` holds calls of operations without a formula.
    """

    macs: int
    flops: int
    parameters: int
    parameter_bytes: int
    activation_bytes: int
    uncounted: dict[str, int]
    by_operator: dict[str, int]
    by_module: dict[str, ModuleCount]

    def share(self, path: str) -> float | None:
        """Return the part of all MACs that is the module's, 0 to 1; None if there are no MACs at all."""
        return self.by_module[path].macs / self.macs if self.macs else None


def count(model: torch.nn.Module, *inputs: torch.Tensor) -> FlopCount:
    """
    Run `model` once on `inputs`, without gradients and in its present mode, and count its work.

    Whatever the model raises is passed on.
    """
    import torch

    tally = _Tally()
    with torch.no_grad(), _paths(model, tally), dispatched(tally.add):
        model(*inputs)
    whole = tally.modules[""]
    parameters = list(model.parameters())
    return FlopCount(
        macs=whole.macs,
        flops=whole.flops,
        parameters=sum(each.numel() for each in parameters),
        parameter_bytes=sum(each.numel() * each.element_size() for each in parameters),
        activation_bytes=tally.written,
        uncounted=dict(whole.uncounted),
        by_operator=dict(tally.operators),
        by_module=tally.modules,
    )


class _Tally:
    """Sums under way, and the modules that are being called, innermost last."""

    def __init__(self) -> None:
        self.stack = [""]
        self.modules: dict[str, ModuleCount] = {"": ModuleCount()}
        self.operators: Counter[str] = Counter()
        self.written = 0

    def add(self, operation: Any, arguments: Sequence[Any], options: Mapping[str, Any], out: Any) -> None:
        name = str(operation.overloadpacket)
        if operation.is_view or name in MOVES:
            macs = None
        else:
            macs = macs_of(operation.overloadpacket, (arguments, options, out))
            self._book(name, macs)
        if not operation.is_view:
            self.written += _new_bytes(arguments, out)

    def _book(self, name: str, macs: int | None) -> None:
        if macs is not None:
            self.operators[name] += macs
        for path in dict.fromkeys(self.stack):  # a module inside itself counts once
            if macs is None:
                self.modules[path].uncounted[name] += 1
            else:
                self.modules[path].macs += macs


def macs_of(packet: Any, call: tuple[Sequence[Any], Mapping[str, Any], Any]) -> int | None:
    """Return the MACs of a call: (arguments, keyword arguments, result); None without a formula."""
    from torch.utils.flop_counter import flop_registry

    name = str(packet)
    if name in FORMULAS:
        return FORMULAS[name](*call)
    if packet in flop_registry:
        arguments, options, out = call
        flops: int = flop_registry[packet](*arguments, **options, out_val=out)
        return flops // 2
    return None


def _new_bytes(arguments: Sequence[Any], out: Any) -> int:
    import torch

    results = out if isinstance(out, tuple | list) else (out,)
    tensors = [each for each in results if isinstance(each, torch.Tensor)]
    return sum(
        each.numel() * each.element_size()
        for each in tensors
        if not any(each is argument for argument in arguments)
    )


def dispatched(
    add: Callable[..., None], run: Callable[..., Any] | None = None
) -> contextlib.AbstractContextManager[Any]:
    """
    Call `add(operation, arguments, keyword arguments, result)` for all that PyTorch dispatches; `run` may
    stand in for an operation, given it and its arguments, or return None.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self,
            func: Any,
            types: Any,
            args: Sequence[Any] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            options = kwargs or {}
            if str(func.overloadpacket) not in FORMULAS:
                with self:  # in inference mode, compound operations arrive whole
                    parts = func.decompose(*args, **options)
                if parts is not NotImplemented:
                    return parts
            out = run(func, args) if run else None
            if out is None:
                out = func(*args, **options)
            add(func, args, options, out)
            return out

    made: contextlib.AbstractContextManager[Any] = Mode()  # type: ignore[no-untyped-call]
    return made


@contextlib.contextmanager
def _paths(model: torch.nn.Module, tally: _Tally) -> Iterator[None]:
    """Keep `tally.stack` while the block runs; a module that is there twice has its first path."""
    handles = []
    for path, module in model.named_modules():
        if not path:
            continue
        tally.modules[path] = ModuleCount()

        def enter(*_: Any, path: str = path) -> None:
            tally.stack.append(path)

        def leave(*_: Any) -> None:
            tally.stack.pop()

        handles += [
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(leave, always_call=True),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
