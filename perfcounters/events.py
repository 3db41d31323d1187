"""
Names of events to what the kernel is asked for.

A name is one of the catalogue (``instructions``, ``LLC-misses``, ``page-faults``), a raw number
(``r412e``), an event of a PMU in sysfs (``cpu/event=0x2e,umask=0x41/``, ``cpu/cache-misses/``) or
a hardware breakpoint (``mem:0x7ffd12345678/8:w``), each with ``:u``, ``:k`` or ``:uk`` behind it to
count in user space alone, in the kernel alone, or in both and nothing less.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from perfcounters import _kernel, pmus
from perfcounters._kernel import Encoding
from perfcounters._names import canonical, catalogue, split
from perfcounters._validation import CHECKED
from perfcounters.errors import EventNameError, EventUnavailableError
from perfcounters.processor_id import identify

__all__ = ["Event", "known_names", "resolve"]

_RAW = re.compile(r"r([0-9a-fA-F]{1,16})")
_BREAKPOINT = re.compile(r"mem:(0x[0-9a-fA-F]{1,16})(?:/([1248]))?(?::(r|w|rw))?")
_PMU_EVENT = re.compile(r"([\w.-]+)/([^/]*)/")
_MODES = {
    "r": _kernel.BREAKPOINT_READ,
    "w": _kernel.BREAKPOINT_WRITE,
    "rw": _kernel.BREAKPOINT_READ | _kernel.BREAKPOINT_WRITE,
}


@dataclass(frozen=True)
class Event:
    """
    An event to count.

    Attributes:
        name: As it was asked for.
        encoding: What the kernel is asked for.
        shown: The encoding as perf writes it.
        source: ``hardware`` or ``software``.
        definition: What it counts, in a sentence.
        kernel_only: It happens in the kernel: without the kernel it is always 0.
        verified: It is known that this PMU has the event; if not, a count of 0 proves nothing.
        exclude: Flags asked for by ``:u`` and ``:k``; None where the user didn't say.
        cores: On a processor with several kinds of cores, the encoding for each kind.
        parts: Of PMUs that share the counting, such as memory controllers, the encoding for each.
        factor: What one event stands for, in `unit`.
        scale: By what a count is to be multiplied to be in `unit`, where the kernel says so.
        unit: Empty for a plain number of events.
        pmu: Name of the PMU that counts it, or of those, as sysfs has them.
    """

    name: str
    encoding: Encoding
    shown: str
    source: str
    definition: str
    kernel_only: bool = False
    verified: bool = True
    exclude: int | None = None
    cores: tuple[Encoding, ...] = ()
    parts: tuple[Encoding, ...] = ()
    factor: int = 1
    scale: float = 1.0
    unit: str = ""
    pmu: str = ""


def known_names() -> tuple[str, ...]:
    """Give the names of the catalogue in its order; of those of single processors, this one's."""
    table = catalogue()
    by_processor = dict.fromkeys((*CHECKED, *(row["event"] for row in _rows_of_this_processor())))
    return (*table["hardware"], *by_processor, *table["cache"], *table["pmu_events"], *table["software"])


def resolve(name: str) -> Event:
    """
    Find out what a name means on this machine.

    Raises:
        EventNameError: Nothing has this name.
        EventUnavailableError: This machine has no event that means this.
    """
    bare, modifiers = split(name)
    event = _resolve(canonical(bare))
    cores = _for_each_core(event.encoding)
    kinds = cores or event.parts or (event.encoding,)
    pmu = "+".join(dict.fromkeys(pmus.name_of(one.pmu) for one in kinds))
    event = replace(event, name=name, cores=cores, pmu=pmu)
    if modifiers:
        exclude = (0 if "u" in modifiers else _kernel.EXCLUDE_USER) | (
            0 if "k" in modifiers else _kernel.EXCLUDE_KERNEL
        )
        event = replace(event, exclude=exclude)
    return event


def _resolve(name: str) -> Event:
    event = _of_the_catalogue(name)
    if event is not None:
        return event
    if matched := _RAW.fullmatch(name):
        return _raw(name, int(matched[1], 16))
    if matched := _BREAKPOINT.fullmatch(name):
        return _breakpoint(name, int(matched[1], 16), int(matched[2] or 4), matched[3] or "rw")
    if matched := _PMU_EVENT.fullmatch(name):
        return _in_terms(name, matched[1], matched[2])
    raise _unknown(name)


def _of_the_catalogue(name: str) -> Event | None:
    table = catalogue()
    if name in table["hardware"]:
        row = table["hardware"][name]
        encoding = Encoding(_kernel.TYPE_HARDWARE, row["config"])
        return Event(name, encoding, name, "hardware", row["definition"])
    if name in table["cache"]:
        row = table["cache"][name]
        config = row["cache"] | row["operation"] << 8 | row["result"] << 16
        return Event(name, Encoding(_kernel.TYPE_HW_CACHE, config), name, "hardware", row["definition"])
    if name in table["software"]:
        row = table["software"][name]
        return Event(
            name,
            Encoding(_kernel.TYPE_SOFTWARE, row["config"]),
            name,
            "software",
            row["definition"],
            kernel_only=row.get("kernel_only", False),
            unit=row.get("unit", ""),
        )
    if name in table["pmu_events"]:
        return _of_a_pmu(name)
    if any(row["event"] == name for row in table["processors"]):
        return _of_this_processor(name)
    return None


def _raw(name: str, config: int) -> Event:
    definition = "a raw event: what it counts stands in the processor's manual"
    encoding = Encoding(_kernel.TYPE_RAW, config)
    return Event(name, encoding, f"raw {config:#x}", "hardware", definition, verified=False)


def _in_terms(name: str, pmu: str, terms: str) -> Event:
    """Encode ``pmu/terms/``; several PMUs of that name with a number behind it are added up."""
    each = [pmus.encode(name, one, terms) for one in pmus.instances(pmu) or (pmu,)]
    encoding, listed = each[0]
    definition = f"an event of the PMU {pmu}, as the kernel lists it" if listed else f"a raw event of {pmu}"
    scale, unit = pmus.scale(pmus.instances(pmu)[0], terms) if listed else (1.0, "")
    parts = tuple(one for one, _ in each) if len(each) > 1 else ()
    return Event(
        name, encoding, name, "hardware", definition, verified=listed, parts=parts, scale=scale, unit=unit
    )


def _for_each_core(encoding: Encoding) -> tuple[Encoding, ...]:
    if encoding.type not in (_kernel.TYPE_HARDWARE, _kernel.TYPE_HW_CACHE, _kernel.TYPE_RAW):
        return ()
    types = pmus.core_types()
    if len(types) < 2:
        return ()
    if encoding.type == _kernel.TYPE_RAW:
        return tuple(replace(encoding, type=kind) for kind in types)
    return tuple(replace(encoding, config=encoding.config | kind << 32) for kind in types)


def _breakpoint(name: str, address: int, length: int, mode: str) -> Event:
    encoding = Encoding(_kernel.TYPE_BREAKPOINT, 0, address, length, _MODES[mode])
    does = {"r": "reads", "w": "writes", "rw": "accesses"}[mode]
    return Event(name, encoding, name, "hardware", f"{does} of {length} bytes at {address:#x}")


def _of_a_pmu(name: str) -> Event:
    row, this = catalogue()["pmu_events"][name], identify()
    for one in row["candidates"]:
        first, last = one.get("families", (this.family, this.family))
        models = one.get("models", ((this.model, this.model),))
        fits = first <= this.family <= last and any(low <= this.model <= high for low, high in models)
        terms = one["terms"]
        there = pmus.instances(one["pmu"])
        if not fits or not there or ("=" not in terms and terms not in pmus.events(there[0])):
            continue
        event = _in_terms(f"{one['pmu']}/{terms}/", one["pmu"], terms)
        event = replace(event, definition=f"{row['definition']} ({event.shown})", verified=True)
        if row.get("unit") != "bytes":
            return event
        factor = one.get("bytes") or _whole_bytes(event.scale, event.unit)
        return replace(event, unit="bytes", scale=1.0, factor=factor) if factor else event
    wanted = ", ".join(dict.fromkeys(one["pmu"] for one in row["candidates"]))
    message = f"cannot count {name}: the kernel shows no PMU for it here; it would be one of {wanted}"
    raise EventUnavailableError(message, event=name)


def _whole_bytes(scale: float, unit: str) -> int:
    """Give the bytes that one event stands for; 0 if that is no whole number."""
    size = Fraction(scale) * {"MiB": 1 << 20, "KiB": 1 << 10, "Bytes": 1, "B": 1}.get(unit, 0)
    return int(size) if size.denominator == 1 else 0


def _rows_of_this_processor() -> list[dict[str, Any]]:
    """Give the catalogue's rows for this processor, in their order."""
    this = identify()

    def fits(row: dict[str, Any]) -> bool:
        first, last = row["families"]
        return (
            row["vendor"] == this.vendor
            and first <= this.family <= last
            and any(low <= this.model <= high for low, high in row["models"])
        )

    return [row for row in catalogue()["processors"] if fits(row)]


def _of_this_processor(name: str) -> Event:
    for row in _rows_of_this_processor():
        if row["event"] == name:
            return _of_row(name, row)
    this = identify()
    why = catalogue()["refused"].get(this.vendor, "what the generic event counts there is not known")
    message = (
        f"cannot count {name}: no event is known to mean that on {this.name}, and {why}."
        " Name the processor's own event instead (rHEX or cpu/event=.../), or simulate"
    )
    raise EventUnavailableError(message, event=name)


def _of_row(name: str, row: dict[str, Any]) -> Event:
    config, config1 = int(row["raw"], 16), int(row.get("config1", "0"), 16)
    also = f",config1={config1:#x}" if config1 else ""
    title = "" if row["name"] == row["event"] else f"{row['name']}: "
    return Event(
        name,
        Encoding(_kernel.TYPE_RAW, config, config1),
        f"cpu/config={config:#x}{also}/",
        "hardware",
        f"{title}{row['definition']}",
        verified=row["listed_as"] is None or row["listed_as"] in pmus.core_events(),
    )


def _unknown(name: str) -> EventNameError:
    names = [*known_names(), *catalogue()["aliases"]]
    names += [f"{pmu}/{event}/" for pmu in pmus.listed() for event in pmus.events(pmu)]
    by_lower = {one.lower(): one for one in names} | {
        one.split("/")[1].lower(): one for one in names if "/" in one
    }
    found = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    nearest = tuple(dict.fromkeys(by_lower[one] for one in found))
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are {', '.join(known_names())}"
    return EventNameError(f"unknown event {name!r}: {hint}", event=name, nearest=nearest)
