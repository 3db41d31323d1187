"""
What the parent does to a network before a worker may have it: build, count FLOPs, convert, compute the
output to compare with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from formfn_profile import backends, patterns

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from formfn_profile.flops import FlopCount
    from formfn_profile.patterns import PatternSpec

REFERENCE = "torch eager, in the process that prepared the network"


@dataclass(frozen=True)
class Network:
    """A network that was built: what its work is, and its output for the example input."""

    model: torch.nn.Module
    x: torch.Tensor
    work: FlopCount
    reference: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """
    A network ready for one backend's workers, or the `reason` why it is not.

    `path` is what the backend's `load` takes; `seconds` is what preparing took for this backend
    (conversion, not building).
    """

    path: Path | None = None
    work: FlopCount | None = None
    reference: np.ndarray | None = None
    seconds: float | None = None
    reason: str | None = None


class Preparer:
    """
    Prepares each network once for each backend, in files under `folder`; keeps the last network built
    in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: dict[tuple[PatternSpec, str], Prepared] = {}
        self._last: tuple[PatternSpec, Network] | None = None

    def prepare(self, spec: PatternSpec, backend: str) -> Prepared:
        """
        Return the network of `spec` for `backend`. Whatever fails is a reason, not an exception: other
        points go on.
        """
        key = spec, backend
        if key not in self._done:
            try:
                self._done[key] = self._prepare(spec, backend)
            except Exception as error:  # noqa: BLE001 - a converter may raise anything; it costs this point alone
                self._done[key] = Prepared(
                    reason=f"{backend} could not take the network: {type(error).__name__}: {error}"
                )
        return self._done[key]

    def _prepare(self, spec: PatternSpec, backend: str) -> Prepared:
        network = self._network(spec)
        folder = self.folder / f"{len(self._done)}-{backend}"
        folder.mkdir()
        started = time.perf_counter()
        path = backends.get(backend).prepare(network.model, network.x, folder)
        return Prepared(path, network.work, network.reference, time.perf_counter() - started)

    def _network(self, spec: PatternSpec) -> Network:
        if self._last is None or self._last[0] != spec:
            self._last = None  # two networks need not be in memory at once
            self._last = spec, build(spec)
        return self._last[1]


def build(spec: PatternSpec) -> Network:
    """Build the network of `spec`, count its work, and run it once for the reference output."""
    import torch

    from formfn_profile import flops

    model = patterns.build(spec)
    x = patterns.example_input(spec)
    with torch.inference_mode():
        reference = model(x).numpy()
    return Network(model, x, flops.count(model, x), reference)


def relative_error(output: np.ndarray, reference: np.ndarray) -> float:
    """
    Return max|output - reference| / max|reference|; infinity where the shapes differ or a value is not
    finite.
    """
    if output.shape != reference.shape or not np.isfinite(output).all():
        return float("inf")
    scale = float(np.abs(reference).max())
    return float(np.abs(output - reference).max()) / scale if scale else float("inf")
