"""
Which LLC events have counted known misses right on this machine, kept from one process to the next.

The machine is its processor and kernel: on others, nothing that was seen here is known.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from typing import TYPE_CHECKING, Any

from perfcounters import processor_id
from perfcounters._cache_folder import cache_folder
from perfcounters._names import canonical

if TYPE_CHECKING:
    from pathlib import Path

CHECKED = ("LLC-misses", "LLC-references")

_FILE = "validated-events.json"

_known: dict[str, dict[str, bool]] = {}


def validated(event: str, encoding: str) -> bool | None:
    """
    Tell whether this encoding has counted known misses right here; None for events that are not checked.

    Args:
        event: The name that was asked for.
        encoding: As a `Count` has it.
    """
    return _this_machine().get(encoding, False) if canonical(event) in CHECKED else None


def record(encoding: str, *, right: bool) -> None:
    """Keep the outcome of a check; where no file can be written, for this process alone."""
    _this_machine()[encoding] = right
    with contextlib.suppress(OSError):
        path = cache_folder() / _FILE
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole = _read(path) | {_machine(): _this_machine()}
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(whole, indent=1), encoding="utf-8")
        fresh.replace(path)


def _machine() -> str:
    return f"{processor_id.identify().name}, Linux {platform.release()}"


def _this_machine() -> dict[str, bool]:
    machine = _machine()
    if machine not in _known:
        found = _kept().get(machine)
        pairs = found.items() if isinstance(found, dict) else ()
        _known[machine] = {str(encoding): right is True for encoding, right in pairs}
    return _known[machine]


def _kept() -> dict[str, Any]:
    try:
        return _read(cache_folder() / _FILE)
    except OSError:
        return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}
