"""
What the parent does to a network before a worker may have it: build, count FLOPs, convert, compute the
output to compare with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from formfn_profile import backends, live, models, patterns
from formfn_profile.backends import quantization
from formfn_profile.backends.inputs import one_array
from formfn_profile.errors import FormfnError, NetworkError, UnavailableError
from formfn_profile.models import Built, ModelSpec
from formfn_profile.patterns import PatternSpec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from formfn_profile.flops import FlopCount

REFERENCE = "torch eager, in the process that prepared the network"
EXAMPLES = 10
"""Inputs that int8 is calibrated on."""

Spec: TypeAlias = PatternSpec | ModelSpec


@dataclass(frozen=True)
class Network:
    """
    A network that was built, what its work is, and its output for its inputs; these two are None for a
    file that PyTorch cannot read.
    """

    built: Built
    work: FlopCount | None
    reference: np.ndarray | None


class Form(NamedTuple):
    """What a network is prepared for: a backend, in int8 or in any other precision."""

    backend: str
    quantized: bool = False


@dataclass(frozen=True)
class Prepared:
    """
    A network ready for one backend's workers, or the `reason` why it is not.

    `path` is what the backend's `load` takes; `seconds` is what preparing took for this backend
    (conversion, not building), `quantize_seconds` what making it int8 took. `unavailable` says that this
    backend runs no such model.
    """

    path: Path | None = None
    work: FlopCount | None = None
    reference: np.ndarray | None = None
    seconds: float | None = None
    quantize_seconds: float | None = None
    reason: str | None = None
    unavailable: bool = False


class Preparer:
    """
    Prepares each network in each form, in files under `folder`; keeps the last network built in memory, and
    quantizes what it converted for other precisions.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prepared = 0
        self._last: tuple[Spec, Network] | None = None
        self._converted: dict[str, Prepared] = {}

    def prepare(self, spec: Spec, form: Form) -> Prepared:
        """
        Return the network of `spec` in this form. Whatever fails is a reason, not an exception: other
        points go on.
        """
        try:
            return self._quantize(spec, form.backend) if form.quantized else self._convert(spec, form.backend)
        except UnavailableError as error:
            return Prepared(reason=str(error), unavailable=True)
        except FormfnError as error:
            return Prepared(reason=str(error))
        except Exception as error:  # noqa: BLE001 - a converter may raise anything; it costs this point alone
            said = f"{type(error).__name__}: {error}"
            return Prepared(reason=f"{form.backend} could not take the network: {said}")

    def _quantize(self, spec: Spec, backend: str) -> Prepared:
        if not backends.get(backend).quantizes:
            able = ", ".join(name for name, each in backends.BACKENDS.items() if each.quantizes)
            raise UnavailableError(f"{backend} runs no int8 here. What does: {able}")
        network = self._network(spec)
        converted = self._converted.get(backend) or self._convert(spec, backend)
        started = time.perf_counter()
        path = converted.path and quantization.quantize(converted.path, examples(spec, network.built.inputs))
        return replace(converted, path=path, quantize_seconds=time.perf_counter() - started)

    def _convert(self, spec: Spec, backend: str) -> Prepared:
        network = self._network(spec)
        self._prepared += 1
        folder = self.folder / f"{self._prepared}-{backend}"
        folder.mkdir()
        started = time.perf_counter()
        path = backends.get(backend).prepare(network.built.model, network.built.inputs, folder)
        made = Prepared(path, network.work, network.reference, time.perf_counter() - started)
        self._converted[backend] = made
        return made

    def _network(self, spec: Spec) -> Network:
        if self._last is None or self._last[0] != spec:
            self._last, self._converted = None, {}  # two networks need not be in memory at once
            self._last = spec, build(spec)
        return self._last[1]


def build(spec: Spec) -> Network:
    """Build the network of `spec`, count its work, and run it once for the reference output."""
    import torch
    from torch.utils import _pytree

    from formfn_profile import flops

    network = built(spec)
    module = network.module
    if module is None:
        return Network(network, None, None)
    with torch.inference_mode():
        leaves = _pytree.tree_leaves(module(*network.inputs))
    outputs = [leaf.float().numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if not outputs:
        raise NetworkError(f"{spec} returns no tensor")
    return Network(network, flops.count(module, *network.inputs), one_array(outputs))


def built(spec: Spec) -> Built:
    """Build the network of `spec` and its inputs."""
    if isinstance(spec, PatternSpec):
        return Built(patterns.build(spec), (patterns.example_input(spec),))
    return models.build(spec) if spec.packed is None else live.unpack(spec)


def examples(spec: Spec, own: tuple[torch.Tensor, ...]) -> list[tuple[torch.Tensor, ...]]:
    """
    Return inputs to calibrate int8 on: the network's `own`, and seeded ones of the same kind. A module that
    was in memory came with its own alone, which may be a user's data.
    """
    if isinstance(spec, PatternSpec):
        return [own, *((patterns.example_input(spec, seed),) for seed in range(1, EXAMPLES))]
    if spec.packed is not None:
        return [own]
    count = len(spec.inputs)
    seeds = (spec.seed + count * number for number in range(1, EXAMPLES))
    return [own, *(tuple(each.tensor(seed + n) for n, each in enumerate(spec.inputs)) for seed in seeds)]


def relative_error(output: np.ndarray, reference: np.ndarray) -> float:
    """
    Return max|output - reference| / max|reference|; infinity where the shapes differ or a value is not
    finite.
    """
    if output.shape != reference.shape or not np.isfinite(output).all():
        return float("inf")
    scale = float(np.abs(reference).max())
    return float(np.abs(output - reference).max()) / scale if scale else float("inf")
