"""The table of a network's layers, from records only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.table import MISSING, digits, quantity
from formfn_profile.tabular import Table

if TYPE_CHECKING:
    from formfn_profile.by_layer import Layer, Layers

_NAME_COLUMNS = 44
_SILENT = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_COLUMNS = ("layer", "kind", "MFLOPs", "us", "share", "instr.", "LLC misses", "weights", "activ.", "bytes")


def table(measured: Layers) -> Table:
    """Return the table of one network's layers, and a line on what their sum leaves out."""
    total = sum(layer.seconds or 0.0 for layer in measured.layers)
    rows = [
        (
            _short(_name(layer)),
            layer.kind,
            MISSING if layer.macs is None else digits(2 * layer.macs / 1e6),
            _microseconds(layer),
            MISSING if layer.seconds is None or not total else f"{layer.seconds / total:.1%}",
            quantity(layer.instructions),
            quantity(layer.misses),
            quantity(layer.weight_misses),
            quantity(layer.activation_misses),
            quantity(layer.memory_bytes),
        )
        for layer in measured.layers
    ]
    record = measured.record
    title = f"{record.title} on {record.backend}, batch {record.batch}, {record.precision}, medians a call"
    return Table(
        title,
        _COLUMNS,
        rows,
        left=_COLUMNS[:2],
        keys=_COLUMNS[:1],
        remarks=tuple(_remarks(measured, total)),
    )


def _microseconds(layer: Layer) -> str:
    """OpenVINO and ONNX Runtime tell nothing finer than a microsecond."""
    if layer.seconds is None:
        return MISSING
    return digits(layer.seconds * 1e6) if layer.seconds else "<1"


def _name(layer: Layer) -> str:
    """What a layer was fused from says more than the library's own word for it."""
    return " + ".join(layer.modules) or layer.name


def _short(name: str) -> str:
    return name if len(name) <= _NAME_COLUMNS else f"...{name[3 - _NAME_COLUMNS :]}"


def _remarks(measured: Layers, total: float) -> list[str]:
    lines = []
    latency = measured.latency_s
    if latency is not None and total:
        lines.append(
            f"The layers take {total * 1e3:.3g} ms together, measured one by one; the network takes"
            f" {latency * 1e3:.3g} ms when nothing is measured inside it."
        )
    charged = [layer for layer in measured.layers if layer.activation_misses is not None]
    if charged:
        lines.append(
            "LLC misses in weights (parameters and buffers) and activations (modules' inputs and outputs) by"
            " address; the rest is scratch memory, weights in a library's own format, and Python."
        )
    if all(layer.misses is None for layer in measured.layers):
        lines.append(
            "LLC misses and instructions of single layers: not counted. "
            + (
                f"{library} calls nothing of ours between its layers."
                if (library := _SILENT.get(measured.record.backend.partition("-")[0]))
                else "None were counted in this run, or with other layers."
            )
        )
    return lines
