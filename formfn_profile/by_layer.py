"""A network's layers, from records: what each takes of its latency, FLOPs and LLC misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile.results import LINE_BYTES, pair
from formfn_profile.samples import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from formfn_profile.results import Record

__all__ = ["Layer", "Layers", "of_records"]


@dataclass(frozen=True)
class Layer:
    """
    One layer of one call, medians: `seconds` of the timed run, counts of the counted one.

    `weight_misses` and `activation_misses` are LLC misses at the addresses of parameters and buffers, and of
    modules' inputs and outputs; the rest of `misses` is scratch memory, copies in other formats, the
    interpreter. `memory_bytes` are those from and to memory: 64 a miss, prefetch and write-back, and
    non-temporal stores. What is not known is None.
    """

    name: str
    kind: str
    modules: tuple[str, ...]
    seconds: float | None
    macs: int | None
    instructions: float | None
    misses: float | None
    weight_misses: float | None
    activation_misses: float | None
    memory_bytes: float | None


@dataclass(frozen=True)
class Layers:
    """
    The layers of one network on one backend, in the order of a call.

    `latency_s` is the median latency of the network when its layers are not measured; the sum of theirs is
    more, by what measuring them takes. `timed` and `counted` are the records they are of, None where there
    is none.
    """

    timed: Record | None
    counted: Record | None
    layers: tuple[Layer, ...]

    @property
    def record(self) -> Record:
        """Either record, for what was asked for."""
        found = self.timed or self.counted
        if found is None:
            raise LookupError("layers without a record")
        return found

    @property
    def latency_s(self) -> float | None:
        """Median latency of the whole network, in seconds, with nothing read in between."""
        summary = summarize(self.timed.latency_s) if self.timed else None
        return summary.median if summary else None


def of_records(records: Sequence[Record]) -> list[Layers]:
    """Return the layers of each network and backend that has any; times and counts side by side."""
    found = []
    for row in pair(records):
        timed = row.timed if row.timed and row.timed.layers else None
        counted = row.counted if row.counted and row.counted.layers else None
        layers = _merged(timed.layers if timed else (), counted.layers if counted else ())
        if layers:
            found.append(Layers(timed, counted, layers))
    return found


def _merged(timed: Sequence[Mapping[str, Any]], counted: Sequence[Mapping[str, Any]]) -> tuple[Layer, ...]:
    """Side by side where both runs had the same layers; else the timed ones, without counts."""
    if not timed:
        return tuple(_layer(None, each) for each in counted)
    same = [each["name"] for each in timed] == [each["name"] for each in counted]
    partners = counted if same else [None] * len(timed)
    return tuple(_layer(one, other) for one, other in zip(timed, partners, strict=True))


def _layer(timed: Mapping[str, Any] | None, counted: Mapping[str, Any] | None) -> Layer:
    either = timed or counted or {}
    counts: Mapping[str, float] = (counted or {}).get("counts") or {}
    misses, writebacks = counts.get("LLC-misses"), counts.get("LLC-writebacks")
    moved = None
    if misses is not None and writebacks is not None:
        lines = misses + counts.get("LLC-prefetch-misses", 0) + writebacks
        moved = LINE_BYTES * lines + counts.get("non-temporal-bytes", 0)
    return Layer(
        name=either["name"],
        kind=either["kind"],
        modules=tuple(either["modules"]),
        seconds=(timed or {}).get("seconds"),
        macs=either["macs"],
        instructions=counts.get("instructions"),
        misses=misses,
        weight_misses=counts.get("LLC-misses-weights"),
        activation_misses=counts.get("LLC-misses-activations"),
        memory_bytes=moved,
    )
