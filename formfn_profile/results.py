"""
The record: what one worker measured of one point, as a flat JSON object.

A record holds measurements and never statistics: every latency sample in seconds, every count of every
call. What is derived from them (median, interval, miss rate, MPKI) is computed where it is shown. A
point whose latency was timed natively and whose misses were counted under the simulator has two
records, one a launcher, because the two were measured apart, with other kernels perhaps; `pair` puts
them side by side again.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from formfn_profile.errors import ResultsError
from formfn_profile.fields import wrong_field

__all__ = ["Count", "Record", "Row", "pair"]

SCHEMA = 2
LINE_BYTES = 64

Status = Literal["ok", "failed", "skipped"]
PointKey = tuple[object, ...]

KEY = (
    "network",
    "depth",
    "width",
    "resolution",
    "batch",
    "expansion",
    "seed",
    "inputs",
    "digest",
    "backend",
    "precision",
    "threads",
)
"""What makes two records measurements of the same point."""

MACHINE = ("cpu", "caches", "cpus", "affinity", "memory_bytes", "torch", "openvino", "formfn_profile")
"""What makes two records measurements on the same machine with the same software."""

OWN_SOFTWARE = {"onnxruntime": ("onnxruntime",), "int8": ("nncf",)}
"""What else does for those of a backend, or of a precision."""

_PREFIXED = ("machine", "versions", "conditions")


@dataclass(frozen=True, kw_only=True)
class Count:
    """
    One event, counted over several calls, one sample a call.

    A sample is None where it could not be had; `reason` then says why. `cache` names the modelled
    processor of a simulated cache event and is None otherwise. `scope`, `exclusions`, `scaled`,
    `threads` and `validated` have the meaning `perfcounters.Count` gives them.
    """

    event: str
    samples: tuple[int | None, ...]
    source: str
    cache: str | None = None
    encoding: str | None = None
    scope: str | None = None
    exclusions: tuple[str, ...] = ()
    scaled: bool = False
    threads: int | None = None
    definition: str | None = None
    validated: bool | None = None
    reason: str | None = None

    @property
    def value(self) -> float | None:
        """Median count a call; None if no call could be counted."""
        counted = [sample for sample in self.samples if sample is not None]
        return float(statistics.median(counted)) if counted else None

    def describe(self) -> str:
        """Say what was counted, by what, and why it is not there where it isn't."""
        words = [self.event, self.source, *([f"cache {self.cache}"] if self.cache else [])]
        words += [text for text in (self.encoding, self.definition) if text]
        words += [f"scope {self.scope}"] if self.scope else []
        words += [f"without {name}" for name in self.exclusions]
        words += ["a scaled estimate"] if self.scaled else []
        words += [f"not counted: {self.reason}"] if self.value is None and self.reason else []
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class Record:
    """
    One point measured by one worker.

    `network` is a pattern, which `depth`, `width`, `resolution` and `expansion` determine, or any other
    model; `inputs` then are its input tensors ("1x3x224x224:f32"), and `digest` the SHA-256 of its file.
    `process` numbers the fresh processes that repeat the same point. `launcher` is "native" (latency;
    hardware counts) or "llcsim" (simulated counts; no latency, since time means nothing there);
    `simulation` then says which processor's caches CPUID told the program ("cpuid": a name of `caches`,
    or "valgrind"), whether fused multiply-adds were exact and addresses fixed, and with several threads
    how their private caches were kept coherent. `curve` holds LLC misses a call by size: mappings of cache
    (whose sets and private caches), llc_bytes, ways, misses. `layers` are those of one call in order (see
    `formfn_profile.by_layer`). `macs` are multiply-accumulations and `flops` are 2 x `macs`, both of one
    call over the whole batch. `isa` is the instruction set that the kernels in `kernels` (name -> number of
    layers) ran with, `isa_cap` what the launcher held it to.
    `operations` are those that the backend tells by the precision in which each was computed (precision ->
    number), `operation_macs` their MACs; `prepare_s` are seconds of converting the network, `quantize_s` of
    making it int8. `compile_s`, `load_s` and `first_s` are seconds of compiling alone, of loading with
    compiling, and of the first inference; `latency_s` times the inference alone, `end_to_end_s` with its
    inputs copied in and its output copied out. `output_error` is max|a - b| / max|b| against
    `output_reference`. Keys of a newer schema than this one are kept in `extra`.
    """

    status: Status
    reason: str | None = None
    schema: int = SCHEMA
    run_id: str
    time: str
    launcher: Literal["native", "llcsim"]

    process: int = 0

    network: str
    pattern: str | None
    depth: int | None = None
    width: int | None = None
    resolution: int | None = None
    batch: int = 1
    inputs: tuple[str, ...] = ()
    digest: str | None = None
    expansion: int | None = None
    seed: int = 0
    backend: str
    device: str | None = None
    precision: str
    threads: int
    memory_format: str | None = None
    isa: str | None = None
    isa_cap: str | None = None
    kernels: Mapping[str, int] = field(default_factory=dict)
    operations: Mapping[str, int] = field(default_factory=dict)
    operation_macs: Mapping[str, int] = field(default_factory=dict)

    macs: int | None = None
    flops: int | None = None
    flops_convention: str = "flops = 2 x macs"
    parameters: int | None = None
    parameter_bytes: int | None = None
    activation_bytes: int | None = None
    uncounted: Mapping[str, int] = field(default_factory=dict)

    prepare_s: float | None = None
    quantize_s: float | None = None
    load_s: float | None = None
    compile_s: float | None = None
    first_s: float | None = None
    warmup_s: tuple[float, ...] = ()
    settled: bool | None = None
    latency_s: tuple[float, ...] = ()
    end_to_end_s: tuple[float, ...] = ()

    counts: tuple[Count, ...] = ()
    caches: tuple[Mapping[str, Any], ...] = ()
    simulation: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[Mapping[str, Any], ...] = ()
    layers: tuple[Mapping[str, Any], ...] = ()
    output_error: float | None = None
    output_reference: str | None = None

    conditions: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> PointKey:
        """
        What makes two records measurements of the same point: everything asked for but the launcher and
        its ISA cap.
        """
        return tuple(getattr(self, name) for name in KEY)

    @property
    def identity(self) -> PointKey:
        """
        What a study has done when it holds this record: the point, how it was measured, the process, the
        machine and its software.
        """
        settings = json.dumps(_plain([self.caches, self.simulation]), sort_keys=True)
        machine = tuple(self.machine.get(name) for name in machine_keys(self.backend, self.precision))
        return (*self.key, self.launcher, self.isa_cap, self.process, settings, machine)

    @property
    def title(self) -> str:
        """What it measured, in a few words: "dwbottleneck depth 10", "resnet18"."""
        return self.network if self.depth is None else f"{self.network} depth {self.depth}"

    @property
    def footprint_lines(self) -> float | None:
        """64-byte lines of the parameters and activations; None where they were not counted."""
        if self.parameter_bytes is None or self.activation_bytes is None:
            return None
        return (self.parameter_bytes + self.activation_bytes) / LINE_BYTES

    @property
    def operations_as_asked(self) -> float | None:
        """The share of operations that ran in the precision asked for; None where the backend tells none."""
        every = sum(self.operations.values())
        return self.operations.get(self.precision, 0) / every if every else None

    @property
    def macs_as_asked(self) -> float | None:
        """
        The share of the network's MACs that ran so, at least: those of a backend's operations whose shapes do
        not tell theirs are not in it.
        """
        if not self.operations or not self.macs:
            return None
        return self.operation_macs.get(self.precision, 0) / self.macs

    def count(self, event: str, cache: str | None = None) -> Count | None:
        """
        Return the count of `event` (for the modelled processor `cache`), or None if this record has
        none.
        """
        return next((c for c in self.counts if c.event == event and c.cache == cache), None)

    def to_dict(self) -> dict[str, Any]:
        """
        Return a flat, JSON-ready mapping: `machine`, `versions` and `conditions` become `machine_...`
        columns.
        """
        flat: dict[str, Any] = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.name in _PREFIXED:
                flat.update({f"{each.name}_{key}": _plain(item) for key, item in value.items()})
            elif each.name == "counts":
                flat["counts"] = [_plain(dataclasses.asdict(count)) for count in value]
            elif each.name != "extra":
                flat[each.name] = _plain(value)
        return flat | dict(self.extra)

    @classmethod
    def from_dict(cls, flat: Mapping[str, Any]) -> Record:
        """
        Rebuild a record from `to_dict`'s mapping, whatever the schema version that wrote it.

        Raises:
            ResultsError: A key that every version has is missing, or a value is not of its type.
        """
        names = {each.name for each in dataclasses.fields(cls)} - {"extra", "counts", *_PREFIXED}
        values: dict[str, Any] = {prefix: {} for prefix in _PREFIXED}
        extra: dict[str, Any] = {}
        for key, value in flat.items():
            prefix, _, rest = key.partition("_")
            if key in names:
                values[key] = _frozen(value)
            elif prefix in _PREFIXED and rest:
                values[prefix][rest] = value
            elif key != "counts":
                extra[key] = value
        try:
            counts = tuple(count_from_dict(each) for each in flat.get("counts", ()))
            record = cls(**values, counts=counts, extra=extra)
        except (AttributeError, TypeError) as error:
            raise ResultsError(
                f"not a record of formfn-profile: {error}. A line must be what formfn-profile wrote"
            ) from None
        for each in (record, *counts):
            if (name := wrong_field(each)) is not None:
                raise ResultsError(f"not a record of formfn-profile: {name} is {getattr(each, name)!r}")
        return record


@dataclass(frozen=True)
class Row:
    """
    One point as a reader wants it: the record that timed it beside the one that counted it (the same
    one with hardware). `processes` are the records of the fresh processes that timed it, by number; `last`
    is its last record, whatever that holds.
    """

    timed: Record | None
    counted: Record | None
    last: Record
    failures: tuple[Record, ...] = ()
    processes: Mapping[int, Record] = field(default_factory=dict)

    def latency(self) -> tuple[float, ...]:
        """
        Return the samples that stand for the point, in seconds: each call's, or where several processes
        timed it each process's median, since the calls of one are not independent.
        """
        if len(self.processes) > 1:
            return tuple(statistics.median(each.latency_s) for each in self.processes.values())
        return self.timed.latency_s if self.timed else ()

    @property
    def point(self) -> Record:
        """Any record of the point, for what was asked for and the work in it."""
        found = self.timed or self.counted or self.last
        if found.flops is None and self.counted and self.counted.flops is not None:
            return self.counted
        return found


def machine_keys(backend: str, precision: str) -> tuple[str, ...]:
    """Return what makes two records of a backend in a precision measurements on the same machine."""
    return (*MACHINE, *OWN_SOFTWARE.get(backend, ()), *OWN_SOFTWARE.get(precision, ()))


def pair(records: Iterable[Record]) -> list[Row]:
    """
    Put the records of each point side by side, in order of first appearance; of two measurements the
    later one counts.
    """
    rows: dict[PointKey, Row] = {}
    for record in records:
        row = dataclasses.replace(rows.get(record.key) or Row(None, None, record), last=record)
        if record.status != "ok":
            row = dataclasses.replace(row, failures=(*row.failures, record))
        else:
            if record.latency_s:
                processes = {**row.processes, record.process: record}
                row = dataclasses.replace(row, timed=record, processes=processes)
            if record.counts:
                row = dataclasses.replace(row, counted=record)
        rows[record.key] = row
    return list(rows.values())


def standing(records: Iterable[Record]) -> list[Record]:
    """Return the records without failures of what another of them has measured."""
    found = list(records)
    if not any(record.status == "failed" for record in found):
        return found
    measured = {record.identity for record in found if record.status != "failed"}
    return [record for record in found if record.status != "failed" or record.identity not in measured]


def count_from_dict(flat: Mapping[str, Any]) -> Count:
    """Rebuild a count from a JSON object; keys of a newer schema are left out."""
    names = {each.name for each in dataclasses.fields(Count)}
    return Count(**{key: _frozen(value) for key, value in flat.items() if key in names})


def _plain(value: Any) -> Any:
    """JSON has no NaN or infinity: such a number is a count or time that could not be had."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
