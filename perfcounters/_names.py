"""How a name is put together: the event, and modifiers that say which part of it is counted."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

_MODIFIED = re.compile(r"(?P<event>.+?)(?::(?P<modifiers>u|k|uk|ku))?")


@cache
def catalogue() -> dict[str, Any]:
    """Give the catalogue, as it stands in the data file."""
    table: dict[str, Any] = json.loads(
        resources.files("perfcounters").joinpath("catalogue.json").read_text("utf-8")
    )
    return table


def split(name: str) -> tuple[str, str]:
    """Give the event without modifiers, and the modifiers: ``cycles:u`` is ``cycles`` and ``u``."""
    # In mem:ADDRESS:w the last part is no modifier; its letters differ from u and k.
    matched = _MODIFIED.fullmatch(name)
    return (matched["event"], matched["modifiers"] or "") if matched else (name, "")


def canonical(name: str) -> str:
    """Give the catalogue's own name of an event, without modifiers: ``cpu-cycles:u`` is ``cycles``."""
    bare, _ = split(name)
    aliases: dict[str, str] = catalogue()["aliases"]
    return aliases.get(bare, bare)
