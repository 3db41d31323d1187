"""What the graph of a compiled OpenVINO model tells: the layers that it runs, their kernels, their work."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULE = re.compile(r"__module\.([\w.]+)/")
_NO_KERNEL = frozenset({"Const", "Input", "Output", "Reshape", "Result"})
_REARRANGES = frozenset({"Convert", "Reorder"})
_MULTIPLIES = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_INT8 = frozenset({"i8", "u8"})
_FLOATS = frozenset({"f32", "f16", "bf16"})
_WANTED = ("layerType", "primitiveType", "outputLayouts")


@dataclass(frozen=True)
class Layer:
    """A layer that runs a kernel; `macs` as `macs` tells them."""

    kind: str
    kernel: str
    layout: str
    macs: int | None

    @property
    def computes(self) -> bool:
        """
        Tell an operation of the network from a reordering or conversion that the plugin added, and from what
        it computed once, of constants, when it compiled.
        """
        return self.kind not in _REARRANGES and not self.kernel.startswith("unknown")

    @property
    def precision(self) -> str:
        """
        The type in which the kernel takes its first input, by which its name ends; both kinds of 8 bits are
        "int8". The graph's own `runtimePrecision` has u8 for an addition of f32 and u8 that runs in f32.
        """
        kernels = self.kernel.rpartition("_")[2].lower()
        return "int8" if kernels in _INT8 else kernels


def layers(compiled: Any) -> list[Layer]:
    """Return the layers of a compiled model that run a kernel, in order."""
    found = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind, kernel, layout = (info[key].astype(str) if key in info else "unknown" for key in _WANTED)
        if kind not in _NO_KERNEL:
            found.append(Layer(kind, kernel, layout, macs(node)))
    return found


def multiplied_in(operations: Iterable[Layer], hint: str) -> str:
    """
    Return the precision of a network by its convolutions and matrix products: "int8" if any ran in it, else
    the `hint` that the model was compiled with, unless all ran in another.
    """
    ran = Counter(each.precision for each in operations if each.kind in _MULTIPLIES)
    if "int8" in ran:
        return "int8"
    others = [precision for precision, _ in ran.most_common() if precision in _FLOATS]
    return hint if hint in ran or not others else others[0]


def macs_by_precision(operations: Iterable[Layer]) -> dict[str, int]:
    """Return the MACs of the operations in each precision, as far as their shapes tell them."""
    found: Counter[str] = Counter()
    for each in operations:
        found[each.precision] += each.macs or 0
    return {precision: number for precision, number in found.items() if number}


def executed(compiled: Any, request: Any) -> list[tuple[str, str, Any]]:
    """
    Name, kind and node of each layer that runs a kernel, in order. The profiler says of a layer whose mean
    is below a microsecond that it did not run: its word on that is not taken.
    """
    kinds = {one.node_name: f"{one.node_type} {one.exec_type}" for one in request.get_profiling_info()}
    named = ((one.get_friendly_name(), one) for one in compiled.get_runtime_model().get_ordered_ops())
    return [
        (name, kinds[name], one)
        for name, one in named
        if name in kinds and one.get_rt_info()["layerType"].astype(str) not in _NO_KERNEL
    ]


def macs(layer: Any) -> int | None:
    """
    Multiply-accumulations of a layer, from its shapes: each value of the output takes its share of the
    weights. None for a layer whose work is not told so (a product of two activations, a layer on a GPU,
    which shows no weights), 0 for one without.
    """
    kind = layer.get_rt_info()["layerType"].astype(str)
    if kind not in ("Convolution", "FullyConnected"):
        return None if kind in ("Deconvolution", "MatMul", "Subgraph") else 0
    if layer.get_input_size() == 1:
        return None
    weights, out = (prod(port.get_shape()) for port in (layer.input(1), layer.output(0)))
    channels = layer.output(0).get_shape()[1 if kind == "Convolution" else -1]
    return int(out * weights // channels)


def modules(layer: Any) -> list[str]:
    """The paths of the PyTorch modules that a layer was fused from; a folded one has lost its own."""
    info = layer.get_rt_info()
    originals = info["originalLayersNames"].astype(str) if "originalLayersNames" in info else ""
    return list(dict.fromkeys(_MODULE.findall(originals)))
