"""
Records seen as points of a comparison: what was timed and counted of each, its twin in native PyTorch,
and sweeps over depth, width or batch.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from formfn_profile.brief import brief
from formfn_profile.networks import NETWORKS
from formfn_profile.samples import summarize
from formfn_profile.table import CacheFigures, cache_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from formfn_profile.results import PointKey, Record

__all__ = ["Estimate", "Observation", "Sweep", "best", "observations", "speed_up", "sweeps"]

NATIVE = "torch"
COMPILED = "torch-compile"
CPU = "openvino-cpu"
GPU = "openvino-gpu"
OWN_CACHE = "host"
PAPER_CACHE = "paper"

Axis = Literal["depth", "width", "batch"]

_FIXED = ("depth", "width", "resolution", "batch", "expansion", "threads", "seed")
_NAMED_VECTOR = re.compile(r"avx512|avx2|avx|sse|neon|sve")


@dataclass(frozen=True)
class Estimate:
    """A value and the interval it lies in, about 95%."""

    value: float
    low: float
    high: float

    def over(self, other: Estimate) -> Estimate:
        """Return the ratio, with the widest interval that the two allow."""
        return Estimate(self.value / other.value, self.low / other.high, self.high / other.low)

    def times(self, factor: float) -> Estimate:
        """Return a multiple."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Line:
    """What one line of a figure shows: a pattern (or network) on a backend with a precision."""

    network: str
    backend: str
    precision: str


@dataclass(frozen=True)
class Observation:
    """
    All that was measured of one point, the failures included.

    `timed` holds its last timed record for each cap on the instruction set, `processes` those of each
    process that repeated it, `counted` what was counted last.
    """

    point: Record
    timed: Mapping[str, Record]
    counted: Record | None
    failures: tuple[Record, ...] = ()
    processes: Mapping[str, Mapping[int, Record]] = field(default_factory=dict)

    @property
    def line(self) -> Line:
        """The line of a figure that it belongs to."""
        return Line(self.point.network, self.point.backend, self.point.precision)

    @property
    def is_pattern(self) -> bool:
        """Tell a network of equal blocks from a named network or a model file."""
        return self.point.pattern == self.point.network

    @property
    def measured(self) -> bool:
        """Tell whether anything was: a point may have failures alone."""
        return bool(self.timed) or self.counted is not None

    @property
    def best_timed(self) -> Record | None:
        """The timed record without a cap; where there is none, with one."""
        return self.timed.get("native") or next(iter(self.timed.values()), None)

    @property
    def like_counted(self) -> Record | None:
        """The timed record whose kernels use the instruction set of the counted ones, or None."""
        if self.counted is None:
            return None
        if self.counted.latency_s:
            return self.counted
        vector = vector_family(self.counted.isa)
        alike = (each for each in self.timed.values() if vector and vector_family(each.isa) == vector)
        return next(alike, None)

    def latency(self, timed: Record | None = None) -> Estimate | None:
        """
        Return the median of a call in seconds, of `timed` or the best timed record.

        Where several processes repeated the measurement it is the median of their medians, and the interval
        encloses all of theirs. Samples of one process are not independent: with one, the interval says how
        sure its median is, not how far another process would be off.
        """
        record = timed or self.best_timed
        if record is None:
            return None
        repeats = self.processes.get(record.isa_cap or "native", {0: record})
        found = [each for each in map(latency, repeats.values()) if each is not None]
        if not found:
            return None
        return Estimate(
            statistics.median(each.value for each in found),
            min(each.low for each in found),
            max(each.high for each in found),
        )

    def image_latency(self) -> Estimate | None:
        """Return the median for each image, in seconds."""
        found = self.latency()
        return None if found is None else found.times(1 / self.point.batch)

    def cache(self, name: str | None) -> CacheFigures | None:
        """Return the LLC figures of the modelled processor `name`, or of the hardware for None."""
        if self.counted is None:
            return None
        return next((each for each in cache_figures(self.counted) if each.cache == name), None)

    def own_cache(self) -> CacheFigures | None:
        """Return the LLC figures of this machine's own caches: of the hardware, else modelled on the host."""
        return self.cache(None) or self.cache(OWN_CACHE)

    def at(self, name: str) -> int | None:
        """Return one of the numbers that say which point this is; None for what a network has not."""
        value: int | None = getattr(self.point, name)
        return value


@dataclass(frozen=True)
class Sweep:
    """Points along one `axis`, everything else `fixed`, in lines sorted by what varies."""

    axis: Axis
    fixed: Mapping[str, int | None]
    lines: Mapping[Line, Sequence[Observation]]

    @property
    def values(self) -> list[int]:
        """What the axis took, in order."""
        found = {value for line in self.lines.values() for each in line if (value := each.at(self.axis))}
        return sorted(found)

    @property
    def networks(self) -> list[str]:
        """The patterns in it, in order of first appearance."""
        return list(dict.fromkeys(line.network for line in self.lines))

    @property
    def observations(self) -> list[Observation]:
        """All its points."""
        return [each for line in self.lines.values() for each in line]

    def of(self, network: str) -> dict[Line, Sequence[Observation]]:
        """Return the lines of one pattern."""
        return {line: points for line, points in self.lines.items() if line.network == network}


def observations(records: Iterable[Record]) -> list[Observation]:
    """Put the records of each point together, in order of first appearance; of two alike the later counts."""
    found: dict[PointKey, Observation] = {}
    for record in records:
        seen = found.get(record.key, Observation(record, {}, None))
        timed, counted, failures = dict(seen.timed), seen.counted, seen.failures
        processes = {cap: dict(each) for cap, each in seen.processes.items()}
        if record.status != "ok":
            failures = (*failures, record)
        else:
            if record.latency_s:
                cap = record.isa_cap or "native"
                timed[cap] = record
                processes.setdefault(cap, {})[record.process] = record
            if record.counts:
                counted = record
        point = counted or next(iter(timed.values()), None) or record
        found[record.key] = Observation(point, timed, counted, failures, processes)
    return list(found.values())


def drawn(points: Iterable[Observation], *, counts: bool) -> Callable[[Observation], Record | None]:
    """
    Return what gives the timed record of each point of a picture, all of the same kernels: beside counts
    those that were counted, where any was timed so. A point without counts is held to them, too.
    """
    held = {alike.isa_cap for each in points if counts and (alike := each.like_counted)}

    def record(one: Observation) -> Record | None:
        if not held:
            return one.best_timed
        if one.counted:
            return one.like_counted
        return next((each for each in one.timed.values() if each.isa_cap in held), None)

    return record


def latency(record: Record) -> Estimate | None:
    """Return the median of a record's timed calls in seconds, and its 95% interval (below 6 the range)."""
    summary = summarize(record.latency_s)
    if summary is None:
        return None
    low, high = summary.interval or (min(record.latency_s), max(record.latency_s))
    return Estimate(summary.median, low, high)


def twin(one: Observation, among: Iterable[Observation]) -> Observation | None:
    """
    Return the same point in native PyTorch, single precision.

    Native is what the named network says it is: for "darts-optimized" PyTorch through oneDNN.
    """
    backend = native_backend(one.point.network)
    asked = [one.at(name) for name in _FIXED]
    return next(
        (
            each
            for each in among
            if each.point.network == one.point.network
            and each.point.backend == backend
            and each.point.precision == "f32"
            and each.point.inputs == one.point.inputs
            and [each.at(name) for name in _FIXED] == asked
        ),
        None,
    )


def native_backend(network: str) -> str:
    """Return the backend that a network's gain is measured against."""
    return NETWORKS[network].torch_backend if network in NETWORKS else NATIVE


def eager(backend: str) -> bool:
    """Tell the forms of eager PyTorch from what accelerates it."""
    return backend.startswith(NATIVE) and backend != COMPILED


def speed_up(one: Observation, among: Iterable[Observation]) -> Estimate | None:
    """
    Return native PyTorch's latency over this point's: 3.8 is 3.8 times as fast.

    Both must have been timed with the same cap on the instruction set; without one, where both were.
    """
    native = twin(one, among)
    return None if native is None else _timed_ratio(native, one)


def network_point(name: str, backend: str, among: Iterable[Observation]) -> Observation | None:
    """
    Return a named network on a backend, single precision preferred.

    "darts-optimized" is "darts" run by another PyTorch: in OpenVINO the two are one network, and either
    record stands for both.
    """
    names = [name] if name not in NETWORKS else [name, *same_network(name)]
    found = [each for each in among if each.point.backend == backend and each.point.network in names]
    return min(
        found,
        key=lambda each: (names.index(each.point.network), each.point.precision != "f32"),
        default=None,
    )


def network_gain(name: str, backend: str, among: Sequence[Observation]) -> Estimate | None:
    """Return a named network's speed-up over what native PyTorch means for it."""
    ours = network_point(name, backend, among)
    native = network_point(name, native_backend(name), among)
    return None if ours is None or native is None else _timed_ratio(native, ours)


def same_network(name: str) -> list[str]:
    """Return the other names of a network."""

    def built(network: str) -> tuple[object, ...]:
        known = NETWORKS[network]
        return known.module, known.function, known.arguments

    return [other for other in NETWORKS if other != name and built(other) == built(name)]


def alike(points: Iterable[Observation]) -> list[list[Observation]]:
    """Return the points in groups of one size, batch, seed and number of threads."""
    groups: dict[tuple[int | None, ...], list[Observation]] = {}
    for each in points:
        groups.setdefault(tuple(each.at(name) for name in _FIXED), []).append(each)
    return list(groups.values())


def sweeps(points: Iterable[Observation], axis: Axis) -> list[Sweep]:
    """
    Return the sweeps of patterns along `axis`, the fullest first; of equals the one with smaller batches.

    A sweep has two values of the axis at least. Points of which nothing was measured are in none.
    """
    groups: dict[tuple[int | None, ...], dict[Line, list[Observation]]] = {}
    others = tuple(name for name in _FIXED if name != axis)
    for each in points:
        if each.is_pattern and each.measured and each.at(axis) is not None:
            fixed = tuple(each.at(name) for name in others)
            groups.setdefault(fixed, {}).setdefault(each.line, []).append(each)
    found = [
        Sweep(
            axis,
            dict(zip(others, fixed, strict=True)),
            {line: sorted(members, key=lambda each: each.at(axis) or 0) for line, members in lines.items()},
        )
        for fixed, lines in groups.items()
    ]
    long = [sweep for sweep in found if len(sweep.values) > 1]
    return sorted(long, key=lambda sweep: (-len(sweep.observations), sweep.fixed.get("batch") or 0))


def best(points: Iterable[Observation], axis: Axis) -> Sweep | None:
    """Return the fullest sweep along `axis`."""
    return next(iter(sweeps(points, axis)), None)


def miss_source(points: Iterable[Observation]) -> tuple[bool, str | None]:
    """
    Return whether misses were counted, and in which cache: None for the hardware.

    Hardware before the paper's cache, the paper's before this machine's modelled one, that before others.
    """
    caches = {
        figures.cache
        for each in points
        if each.counted is not None
        for figures in cache_figures(each.counted)
    }
    for name in (None, PAPER_CACHE, OWN_CACHE):
        if name in caches:
            return True, name
    return bool(caches), min((name for name in caches if name), default=None)


def gpu_reason(points: Iterable[Observation]) -> str:
    """Say why there is nothing of a GPU."""
    for each in points:
        if each.point.backend == GPU and each.failures:
            return f"not measured: {brief(each.failures[-1].reason)}"
    return "not measured (name the backend openvino-gpu on a machine that has one)"


def vector_family(isa: str | None) -> str | None:
    """
    Return the family of vector instructions that a record's `isa` names, the main one.

    "avx2 (12 layers), avx512 (1)" gives avx2, since the first has the most layers. Where PyTorch's
    libraries differ ("aten avx512, onednn avx2") there is none; one that is not known does not count.
    """
    if isa is None:
        return None
    named = [match.group() for match in _NAMED_VECTOR.finditer(isa)]
    if not named:
        return None
    return named[0] if "(" in isa or len(set(named)) == 1 else None


def _timed_ratio(native: Observation, one: Observation) -> Estimate | None:
    caps = sorted(set(one.timed) & set(native.timed), key=lambda cap: cap != "native")
    if not caps:
        return None
    ours, theirs = one.latency(one.timed[caps[0]]), native.latency(native.timed[caps[0]])
    return theirs.over(ours) if ours and theirs else None
