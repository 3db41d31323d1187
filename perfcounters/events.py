"""
Names of events to what the kernel is asked for.

A name is one of the catalogue (``instructions``, ``LLC-misses``, ``page-faults``), a raw number
(``r412e``), an event of a PMU in sysfs (``cpu/event=0x2e,umask=0x41/``, ``cpu/cache-misses/``) or
a hardware breakpoint (``mem:0x7ffd12345678/8:w``), each with ``:u`` or ``:k`` behind it to count
in user space or in the kernel alone.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from perfcounters import _kernel, pmus
from perfcounters._kernel import Encoding
from perfcounters.errors import EventNameError, EventUnavailableError
from perfcounters.processor_id import identify

_MODIFIED = re.compile(r"(?P<event>.+?)(?::(?P<modifiers>[uk]{1,2}))?")
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


@cache
def catalogue() -> dict[str, Any]:
    """Give the catalogue, as it stands in the data file."""
    table: dict[str, Any] = json.loads(
        resources.files("perfcounters").joinpath("catalogue.json").read_text("utf-8")
    )
    return table


def known_names() -> tuple[str, ...]:
    """Give the names of the catalogue in its order."""
    table = catalogue()
    cache_events = dict.fromkeys(row["event"] for row in table["processors"])
    return (*table["hardware"], *cache_events, *table["software"])


def resolve(name: str) -> Event:
    """
    Find out what a name means on this machine.

    Raises:
        EventNameError: Nothing has this name.
        EventUnavailableError: This machine has no event that means this.
    """
    matched = _MODIFIED.fullmatch(name)
    bare, modifiers = (matched["event"], matched["modifiers"] or "") if matched else (name, "")
    # In mem:ADDRESS:w the last part is no modifier; its letters differ from u and k.
    event = replace(_resolve(bare), name=name)
    event = replace(event, cores=_for_each_core(event.encoding))
    if modifiers:
        exclude = (0 if "u" in modifiers else _kernel.EXCLUDE_USER) | (
            0 if "k" in modifiers else _kernel.EXCLUDE_KERNEL
        )
        event = replace(event, exclude=exclude)
    return event


def _resolve(name: str) -> Event:
    table = catalogue()
    if name in table["hardware"]:
        row = table["hardware"][name]
        return Event(
            name, Encoding(_kernel.TYPE_HARDWARE, row["config"]), name, "hardware", row["definition"]
        )
    if name in table["software"]:
        row = table["software"][name]
        encoding = Encoding(_kernel.TYPE_SOFTWARE, row["config"])
        return Event(name, encoding, name, "software", row["definition"], row.get("kernel_only", False))
    if any(row["event"] == name for row in table["processors"]):
        return _of_this_processor(name)
    if matched := _RAW.fullmatch(name):
        config = int(matched[1], 16)
        definition = "a raw event: what it counts stands in the processor's manual"
        return Event(
            name,
            Encoding(_kernel.TYPE_RAW, config),
            f"raw {config:#x}",
            "hardware",
            definition,
            verified=False,
        )
    if matched := _BREAKPOINT.fullmatch(name):
        return _breakpoint(name, int(matched[1], 16), int(matched[2] or 4), matched[3] or "rw")
    if matched := _PMU_EVENT.fullmatch(name):
        encoding, listed = pmus.encode(name, matched[1], matched[2])
        definition = (
            f"an event of the PMU {matched[1]}, as the kernel lists it"
            if listed
            else f"a raw event of the PMU {matched[1]}"
        )
        return Event(name, encoding, name, "hardware", definition, verified=listed)
    raise _unknown(name)


def _for_each_core(encoding: Encoding) -> tuple[Encoding, ...]:
    types = pmus.core_types()
    if len(types) < 2 or encoding.type not in (_kernel.TYPE_HARDWARE, _kernel.TYPE_RAW):
        return ()
    if encoding.type == _kernel.TYPE_RAW:
        return tuple(replace(encoding, type=kind) for kind in types)
    return tuple(replace(encoding, config=encoding.config | kind << 32) for kind in types)


def _breakpoint(name: str, address: int, length: int, mode: str) -> Event:
    encoding = Encoding(_kernel.TYPE_BREAKPOINT, 0, address, length, _MODES[mode])
    does = {"r": "reads", "w": "writes", "rw": "accesses"}[mode]
    return Event(name, encoding, name, "hardware", f"{does} of {length} bytes at {address:#x}")


def _of_this_processor(name: str) -> Event:
    this = identify()
    for row in catalogue()["processors"]:
        (first_family, last_family), (first, last) = row["families"], row["models"]
        if (
            row["event"] == name
            and row["vendor"] == this.vendor
            and first_family <= this.family <= last_family
            and first <= this.model <= last
        ):
            config = int(row["raw"], 16)
            return Event(
                name,
                Encoding(_kernel.TYPE_RAW, config),
                f"cpu/config={config:#x}/",
                "hardware",
                f"{row['name']}: {row['definition']}",
                verified=row["listed_as"] is None or row["listed_as"] in pmus.core_events(),
            )
    why = catalogue()["refused"].get(this.vendor, "what the generic event counts there is not known")
    message = (
        f"cannot count {name}: no event is known to mean that on {this.name}, and {why}."
        " Name the processor's own event instead (rHEX or cpu/event=.../), or simulate"
    )
    raise EventUnavailableError(message, event=name)


def _unknown(name: str) -> EventNameError:
    nearest = tuple(difflib.get_close_matches(name, known_names(), n=3, cutoff=0.6))
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are {', '.join(known_names())}"
    return EventNameError(f"unknown event {name!r}: {hint}", event=name, nearest=nearest)
