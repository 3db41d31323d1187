"""
Print a constraints file without the packages that the environment takes from outside itself.

In an environment made with --system-site-packages an existing PyTorch, say, is to be used as it is: a
pin would install another beside it.
"""

import re
import sys
from importlib.metadata import distributions
from pathlib import Path


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def outside(prefix: Path) -> set[str]:
    """Return the names of the distributions that this interpreter sees and that lie outside prefix."""
    return {
        canonical(found.metadata["Name"])
        for found in distributions()
        if not Path(str(found.locate_file(""))).resolve().is_relative_to(prefix.resolve())
    }


def without(pins: str, names: set[str]) -> str:
    """Return the lines of pins that don't constrain one of names."""
    kept = []
    for line in pins.splitlines():
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if name is None or canonical(name.group()) not in names:
            kept.append(line)
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    sys.stdout.write(without(Path(sys.argv[1]).read_text(encoding="utf-8"), outside(Path(sys.prefix))))
