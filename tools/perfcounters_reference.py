"""
Write docs/perfcounters/reference.md from the docstrings of what perfcounters makes public.

Run it after a docstring has changed::

    python tools/perfcounters_reference.py
"""

import inspect
import re
import sys
from pathlib import Path

import perfcounters
from perfcounters import errors, events, known_work, trust

PAGE = Path(__file__).resolve().parents[1] / "docs" / "perfcounters" / "reference.md"
HEAD = """# Reference

Made from the docstrings by `tools/perfcounters_reference.py`.
"""
MODULES = {
    "perfcounters": (perfcounters, ("Counters", "Reading", "Count", "Snapshot", "countable")),
    "perfcounters.events": (events, ("Event", "resolve", "known_names")),
    "perfcounters.trust": (trust, ("llc", "walk", "Trust")),
    "perfcounters.known_work": (
        known_work,
        ("instructions", "instructions_address", "page_faults", "Walk"),
    ),
    "perfcounters.errors": (
        errors,
        (
            *("PerfCountersError", "EventNameError", "CounterError", "EventUnavailableError"),
            *("CounterPermissionError", "TooManyEventsError", "CounterLimitError", "AttachError"),
            "CounterStateError",
        ),
    ),
}
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):$")


def prose(docstring: str) -> str:
    """Turn a docstring into Markdown: sections become lists, literal blocks fenced ones."""
    lines, out, i = inspect.cleandoc(docstring).splitlines(), [], 0
    while i < len(lines):
        line = lines[i].replace("``", "`")
        i += 1
        if SECTION.match(line):
            body, i = block(lines, i)
            entries = (entry.replace("``", "`") for entry in body)
            out += [
                "",
                line,
                "",
                *(entry if entry.startswith(" ") else f"- {entry}" for entry in entries),
                "",
            ]
        elif line.endswith("::"):
            body, i = block(lines, i)
            out += [line.removesuffix("::") + (":" if line != "::" else ""), "", "```text", *body, "```", ""]
        else:
            out.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def block(lines: list[str], at: int) -> tuple[list[str], int]:
    """Take the indented lines from `at` on, without their indentation, and say where they end."""
    taken = []
    while at < len(lines) and (not lines[at] or lines[at].startswith("    ")):
        taken.append(lines[at][4:])
        at += 1
    while taken and not taken[-1]:
        taken.pop()
    while taken and not taken[0]:
        taken.pop(0)
    return taken, at


def signature(name: str, thing: object) -> str:
    """Give how a thing is called, without the annotations' module names."""
    try:
        text = str(inspect.signature(thing))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name
    text = re.sub(r"\(self(, )?", "(", text)
    return name + re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def members(kind: type) -> list[tuple[str, object]]:
    """Give a class's own public methods and properties that say something, in their order."""
    found = []
    for name, member in vars(kind).items():
        thing = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        special = name in ("__add__", "__sub__")
        documented = getattr(thing, "__doc__", None) and (special or not name.startswith("_"))
        if documented and (inspect.isfunction(thing) or isinstance(thing, property)):
            found.append((name, thing))
    return found


def text() -> str:
    """Give the page."""
    parts = [HEAD]
    for title, (module, names) in MODULES.items():
        parts.append(f"## {title}\n\n{prose(module.__doc__ or '')}\n")
        for name in names:
            thing = getattr(module, name)
            error = inspect.isclass(thing) and issubclass(thing, Exception)
            shown = f"{name}({thing.__bases__[0].__name__})" if error else signature(name, thing)
            parts.append(f"### `{shown}`\n\n{prose(thing.__doc__ or '')}\n")
            if inspect.isclass(thing) and not error:
                for member, what in members(thing):
                    shown = member if isinstance(what, property) else signature(member, what)
                    parts.append(f"**`{name}.{shown}`**\n\n{prose(what.__doc__ or '')}\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
