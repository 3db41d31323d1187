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
