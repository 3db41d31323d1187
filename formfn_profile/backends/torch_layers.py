"""PyTorch's layers one by one: counts and clock read where each innermost module begins and ends."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from formfn_profile.backends.inputs import Read

OUTSIDE = "(outside modules)"


@dataclass
class _Window:
    """What one stretch of one call took."""

    name: str
    kind: str
    seconds: float = 0.0
    counts: Sequence[int] = ()


def measure(
    model: torch.nn.Module, infer: Callable[[], None], calls: int, read: Read
) -> list[dict[str, object]]:
    """
    Return the layers of `model` in the order of a call, and last what ran outside any innermost module.

    Reading takes time and instructions of its own: those within a window are a constant of some
    microseconds (natively), so what is short is overstated; those between windows are in the last row.
    """
    infer()
    if read.tell_apart:
        read.tell_apart([_weights(model), _activations(model, infer)])
    each: list[list[_Window]] = []
    windows: list[_Window] = []
    with _hooks(model, windows, read):
        for _ in range(calls + 1):  # the first to settle
            windows.clear()
            total = _Window(OUTSIDE, "")
            before, started = read.now(), time.perf_counter()
            infer()
            total.seconds = time.perf_counter() - started
            total.counts = _difference(read.now(), before)
            each.append([*windows, _without(total, windows)])
    return [_median(same, read) for same in zip(*each[1:], strict=True)]


def _weights(model: torch.nn.Module) -> list[tuple[int, int]]:
    return [_range(each) for each in (*model.parameters(), *model.buffers()) if not each.is_mkldnn]


def _activations(model: torch.nn.Module, infer: Callable[[], None]) -> list[tuple[int, int]]:
    """
    Where the inputs and outputs of modules lie in one call. PyTorch gives each call's tensors the places
    of the last call's, as long as nothing else is allocated in between.
    """
    import torch
    from torch.utils import _pytree

    found: dict[int, int] = {}

    def note(_: object, inputs: object, output: object) -> None:
        for leaf in _pytree.tree_leaves((inputs, output)):
            if isinstance(leaf, torch.Tensor) and not leaf.is_mkldnn:
                first, size = _range(leaf)
                found[first] = max(size, found.get(first, 0))

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        infer()
    finally:
        for handle in handles:
            handle.remove()
    return list(found.items())


def _range(tensor: torch.Tensor) -> tuple[int, int]:
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


@contextlib.contextmanager
def _hooks(model: torch.nn.Module, windows: list[_Window], read: Read) -> Iterator[None]:
    open_: list[tuple[Sequence[int], float]] = []
    now, clock = read.now, time.perf_counter

    def enter(*_: object) -> None:
        before = now()
        open_.append((before, clock()))

    handles = []
    for path, module in model.named_modules():
        if next(module.children(), None) is not None:
            continue

        def leave(*_: object, path: str = path, kind: str = type(module).__name__) -> None:
            stopped = clock()
            after = now()
            before, started = open_.pop()
            windows.append(_Window(path, kind, stopped - started, _difference(after, before)))

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _difference(after: Sequence[int], before: Sequence[int]) -> list[int]:
    return [one - other for one, other in zip(after, before, strict=True)]


def _without(total: _Window, parts: Sequence[_Window]) -> _Window:
    total.seconds -= sum(part.seconds for part in parts)
    for part in parts:
        total.counts = _difference(total.counts, part.counts)
    return total


def _median(same: Sequence[_Window], read: Read) -> dict[str, object]:
    first = same[0]
    counts = [read.events(one.counts) for one in same]
    return {
        "name": first.name,
        "kind": first.kind,
        "modules": [] if first.name == OUTSIDE else [first.name],
        "seconds": statistics.median(one.seconds for one in same),
        "counts": {event: statistics.median(one[event] for one in counts) for event in counts[0]},
    }
