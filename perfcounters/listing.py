"""List events: the catalogue's names with what they are here, and what the kernel lists."""

from __future__ import annotations

import fnmatch
import sys
from typing import TYPE_CHECKING

from perfcounters import _attach, _terminal, events, pmus
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("pattern", nargs="?", default="*", help="names to list, such as 'LLC*' or 'cpu/*'")


def run(arguments: argparse.Namespace) -> int:
    """Print the events; the exit status is 1 if there are none."""
    rows = [row for row in _rows() if fnmatch.fnmatch(row[0].lower(), arguments.pattern.lower())]
    if not rows:
        sys.stderr.write(f"no event is named like {arguments.pattern!r}\n")
        return 1
    width = max(len(name) for name, _ in rows)
    columns = _terminal.columns(sys.stdout)
    for name, text in rows:
        sys.stdout.write(_terminal.wrapped(f"{name:<{width}}  {text}", columns, hang=width + 2) + "\n")
    return 0


def _rows() -> list[tuple[str, str]]:
    states = ((name, *state(name)) for name in events.known_names())
    rows = [(name, _short(text, opens=opens)) for name, opens, text in states]
    for pmu in pmus.listed():
        where = ", counts whole CPUs" if pmus.cpus(pmu) else ""
        rows += [(f"{pmu}/{event}/", f"listed by the kernel{where}") for event in pmus.events(pmu)]
    return rows


def _short(text: str, *, opens: bool) -> str:
    return text if opens else f"not here: {text.split('. ', maxsplit=1)[0]}"


def by_reason(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """Put names with the same reason together, between commas."""
    together: dict[str, list[str]] = {}
    for name, why in reasons.items():
        together.setdefault(why, []).append(name)
    return [(", ".join(names), why) for why, names in together.items()]


def state(name: str) -> tuple[bool, str]:
    """Tell whether an event can be counted here, and what it is or why not."""
    try:
        event = events.resolve(name)
        exclusions = _attach.prepare(event, "process").exclusions
    except PerfCountersError as error:
        return False, str(error).removeprefix(f"cannot count {name}: ")
    without = f" [no {', no '.join(exclusions)}]" if exclusions else ""
    shown = "" if event.shown == name else f"{event.shown}: "
    return True, f"{shown}{event.definition}{without}"
