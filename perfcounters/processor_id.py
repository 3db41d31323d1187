"""Which processor this is, as far as the catalogue of events needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from perfcounters import _kernel

_ARM = "ARM"
_REAL_ROOT = Path("/")


@dataclass(frozen=True)
class ProcessorId:
    """
    Vendor, family and model as /proc/cpuinfo gives them.

    On arm64 the vendor is ``ARM`` for Arm's own cores (else the implementer's number), the family 8
    and the model the part number. Unknown parts are -1.
    """

    vendor: str
    family: int
    model: int
    name: str


def identify() -> ProcessorId:
    """Identify this machine's (first) processor."""
    return _of_this_machine() if _kernel.SYSTEM_ROOT == _REAL_ROOT else _read()


@cache
def _of_this_machine() -> ProcessorId:
    """Read once: with many CPUs that takes milliseconds."""
    return _read()


def _read() -> ProcessorId:
    fields: dict[str, str] = {}
    for line in (_kernel.text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    if "vendor_id" in fields:
        return ProcessorId(
            fields["vendor_id"],
            _number(fields.get("cpu family", "")),
            _number(fields.get("model", "")),
            fields.get("model name", "an unnamed processor"),
        )
    if "CPU implementer" in fields:
        implementer, part = fields["CPU implementer"], _number(fields.get("CPU part", ""))
        vendor = _ARM if _number(implementer) == 0x41 else implementer
        return ProcessorId(vendor, 8, part, f"an Arm core (implementer {implementer}, part {part:#x})")
    return ProcessorId("unknown", -1, -1, "an unknown processor")


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return -1
