"""Whether two sets of records of one point may be compared: what forbids it, and what only has to be said."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from formfn_profile.brief import brief
from formfn_profile.errors import ResultsError
from formfn_profile.flags import WIDE_INTERVAL, flags
from formfn_profile.results import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from formfn_profile.results import Record

PROCESSES = 5
SIDES = ("A", "B")

Sides = tuple[list["Record"], list["Record"]]

_POINT = (*KEY, "isa_cap")
_NAMES = {"network", "backend", "precision", "inputs"}
_ASKED = {"batch", "inputs", "digest", "precision", "threads", "isa_cap"}
_DIGEST_SHOWN = 12
_RAN = {
    "isa": "ISA",
    "precision": "precision",
    "device": "device",
    "simulation": "simulation",
}
_MACHINE = ("cpu", "caches", "architecture", "cpus", "cores", "affinity", "cpu_quota", "governor")
_MACHINE_NOTED = ("formfn_profile", "torch", "openvino", "onnxruntime", "nncf", "kernel", "memory_bytes")


def point(record: Record) -> dict[str, Any]:
    """Return what was asked for, by name, without what the network has none of."""
    return {name: getattr(record, name) for name in _POINT if getattr(record, name) not in (None, ())}


def label(key: str, value: object) -> str:
    """Return one value of `point` as messages and tables write it."""
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if key == "digest":
        text = text[:_DIGEST_SHOWN]
    return text if key in _NAMES else f"{key.replace('_', ' ')} {text}"


def usable(sides: Sides, has: Callable[[Record], object]) -> Sides:
    """Return the records that are ok and have what is to be compared."""
    a, b = ([record for record in side if record.status == "ok" and has(record)] for side in sides)
    return a, b


def bar(sides: Sides, good: Sides, *, machine: bool) -> str | None:
    """
    Return what forbids comparing the `good` records of both sides, None if nothing does. `machine`: they
    must come from the same one.
    """
    for name, side, left in zip(SIDES, sides, good, strict=True):
        if not left and side[-1].status == "ok":
            return f"{name} has not measured it"
        if not left:
            return f"{side[-1].status} in {name}: {brief(side[-1].reason)}"
    if machine:
        for key in _MACHINE:
            differing = _differ(good, "machine", key)
            if differing:
                return f"other machine: {key} {differing}"
    for key, name in _RAN.items():
        differing = _differ(good, key)
        if differing:
            return f"other {name}: {differing}"
    return None


def too_few(good: Sides) -> str | None:
    """Say that there are too few processes, None if there are enough."""
    if min(map(len, good)) >= PROCESSES:
        return None
    return (
        f"too few processes: {len(good[0])} and {len(good[1])}, and it takes {PROCESSES} on each side"
        f" (--processes {PROCESSES})"
    )


def apart(good: Sides) -> str | None:
    """Say that the sides did not take turns, None if they did."""
    a, b = ([when(record) for record in side] for side in good)
    if interleaved(a, b):
        return None
    return "not interleaved: a change of the machine between the sides would look like one of the program"


def interleaved(a: Iterable[dt.datetime], b: Iterable[dt.datetime]) -> bool:
    """
    Tell whether the sides took turns, so that a machine that drifts hits both alike: in order of time,
    the side changes at least half as often as the smaller side has processes.
    """
    order = sorted([*((time, 0) for time in a), *((time, 1) for time in b)])
    names = [side for _, side in order]
    changes = sum(one != other for one, other in itertools.pairwise(names))
    return 2 * changes >= min(names.count(0), names.count(1))


def notes(sides: Sides, good: Sides) -> tuple[str, ...]:
    """Return what differs between the sides, or happened on one, and doesn't forbid the comparison."""
    found = []
    for name, side in zip(SIDES, sides, strict=True):
        bad = [record for record in side if record.status != "ok"]
        if bad:
            found.append(
                f"{len(bad)} of {len(side)} processes {bad[-1].status} in {name}: {brief(bad[-1].reason)}"
            )
    doubts = [Counter(flag.name for record in side for flag in flags(record)) for side in good]
    for what in dict.fromkeys(itertools.chain(*doubts)):
        if what != WIDE_INTERVAL:  # of the calls of a process, which are one number here
            counts = (
                f"{each[what]} of {len(side)} in {name}"
                for name, side, each in zip(SIDES, good, doubts, strict=True)
            )
            found.append(f"{what}: {', '.join(counts)}")
    if layouts := _differ(good, "memory_format"):  # the backend's own choice
        found.append(f"memory format: {layouts}")
    for key in dict.fromkeys(key for side in good for record in side for key in record.versions):
        differing = _differ(good, "versions", key)
        if differing:
            found.append(f"{key}: {differing}")
    for key in _MACHINE_NOTED:
        differing = _differ(good, "machine", key)
        if differing:
            found.append(f"{key}: {differing}")
    return tuple(found)


def missing(record: Record, side: str, there: Mapping[tuple[object, ...], Sequence[Record]]) -> str:
    """Say that `side` has no such point, and what it has instead: the same at another precision, say."""
    wanted = {name: getattr(record, name) for name in _POINT}
    for group in there.values():
        if group[0].launcher != record.launcher:
            continue
        differing = {name for name in _POINT if getattr(group[0], name) != wanted[name]}
        if differing <= _ASKED:
            other = ", ".join(
                f"{label(name, getattr(group[0], name))}, not {wanted[name] or 'none'}"
                for name in sorted(differing)
            )
            return f"{side} has this point only with {other}"
    return f"{side} has no such point"


def _differ(sides: Sides, field: str, key: str | None = None) -> str | None:
    """Describe the values of a field (of `key` in it), None if there is one value only."""

    def read(record: Record) -> object:
        value = getattr(record, field)
        return value if key is None else value.get(key)

    a, b = ({str(read(record)) for record in side} for side in sides)
    if len(a | b) == 1:
        return None
    texts = [" or ".join(sorted(values)) for values in (a, b)]
    return f"{texts[0]} on each side" if a == b else f"{texts[0]} in A, {texts[1]} in B"


def when(record: Record) -> dt.datetime:
    """
    Return the time of a record, in UTC where it says no other zone.

    Raises:
        ResultsError: It is no time in ISO 8601.
    """
    try:
        time = dt.datetime.fromisoformat(record.time.replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        raise ResultsError(
            f"a record of run {record.run_id} has the time {record.time!r}, which is none in ISO 8601."
            " Take the record away"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)
