"""How wide the terminal is that output goes to, and lines that keep to it; a file or a pipe has no width."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROOM = 24
"""Columns below which what is continued starts further to the left."""


def columns(stream: TextIO) -> int | None:
    """Return the width of the terminal that `stream` writes to; None where it is none, or tells none."""
    try:
        return (os.get_terminal_size(stream.fileno()).columns or None) if stream.isatty() else None
    except (OSError, ValueError):  # closed, or a stream without a file
        return None


def wrapped(line: str, width: int | None, hang: int = 2) -> str:
    """Break a line that is wider than `width` between words; what is continued starts `hang` columns in."""
    if width is None or len(line) <= width:
        return line
    indent = " " * (hang if width - hang >= _ROOM else 2)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def fitted(lines: Iterable[str], width: int | None) -> str:
    """Return the lines as text, those that are too wide broken, with what is continued further in."""
    return "\n".join(wrapped(line, width, _indentation(line) + 2) for line in lines)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
