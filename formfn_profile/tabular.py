"""Tables, as text for a terminal and as HTML for a notebook: the same cells in both."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from perfcounters._terminal import columns as terminal_columns
from perfcounters._terminal import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Shown", "Table", "html"]

# Colours are those of the page around it, so that it is read on light and on dark alike.
_STYLE = (
    ".formfn{overflow-x:auto}"
    ".formfn table{border-collapse:collapse;color:inherit;background:none;margin:.5em 0 0}"
    ".formfn caption{text-align:left;font-weight:600;padding:.3em 0;color:inherit}"
    ".formfn th,.formfn td{padding:.15em .6em;text-align:right;vertical-align:top;white-space:nowrap;"
    "border:0;border-bottom:1px solid rgba(128,128,128,.4);background:none;color:inherit}"
    ".formfn thead tr.groups th{text-align:center}"
    ".formfn .left{text-align:left}"
    ".formfn .wrap{text-align:left;white-space:normal}"
    ".formfn ul{margin:.5em 0;padding-left:1.4em}"
    ".formfn td{font-variant-numeric:tabular-nums}"
)


@dataclass(frozen=True)
class Table:
    """
    Cells under `columns`, with a `title` over them and `remarks` under them.

    `left` names the columns that are set flush left, and `wrapped` those of sentences (in HTML). `keys` tell
    rows apart, and are repeated where a table is folded. `groups` are headings over several columns each:
    (heading, number of columns), "" for none. `hints` are what HTML shows of a cell when it is pointed at, by
    (row, column).
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    left: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[tuple[str, int], ...] = ()
    remarks: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()
    hints: dict[tuple[int, int], str] = field(default_factory=dict)

    def text(self, columns: int | None = None) -> str:
        """
        Return the lines for a terminal of so many columns; None is any width. A table that is wider is
        folded: the columns that don't fit stand under the others, beside the keys of their rows.
        """
        parts = ("\n".join(self._lines(part, columns)) for part in self._folded(columns))
        title, *remarks = (wrapped(each, columns) for each in (self.title, *self.remarks))
        return "\n".join([title, "\n\n".join(parts), *remarks])

    def html(self) -> str:
        """Return a `table` element, and a list of the remarks."""
        kinds = [
            "left" if name in self.left else "wrap" if name in self.wrapped else "" for name in self.columns
        ]
        head = "".join(
            f'<th scope="col"{_kind(kind)}>{escape(name)}</th>'
            for name, kind in zip(self.columns, kinds, strict=True)
        )
        over = "".join(f'<th colspan="{width}">{escape(name)}</th>' for name, width in self.groups)
        over = f'<tr class="groups">{over}</tr>' if over else ""
        body = "".join(
            "<tr>"
            + "".join(
                f"<td{_kind(kind)}{self._hint(i, j)}>{escape(cell)}</td>"
                for j, (cell, kind) in enumerate(zip(cells, kinds, strict=True))
            )
            + "</tr>"
            for i, cells in enumerate(self.rows)
        )
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead>{over}<tr>{head}</tr></thead><tbody>{body}</tbody></table>{_list(self.remarks)}"
        )

    def _folded(self, columns: int | None) -> list[list[int]]:
        """Return the numbers of the columns that stand side by side."""
        every = range(len(self.columns))
        if columns is None:
            return [[*every]]
        keys = [i for i in every if self.columns[i] in self.keys]
        parts: list[list[int]] = []
        for i in (i for i in every if i not in keys):
            longer = sorted({*(parts[-1] if parts else ()), *(key for key in keys if key < i), i})
            if parts and _width(self._widths(longer).values()) <= columns:
                parts[-1] = longer
            else:
                parts.append([*(key for key in keys if key < i), i])
        return parts

    def _lines(self, part: Sequence[int], columns: int | None) -> Iterator[str]:
        widths = self._widths(part)
        # A sentence goes on below itself; figures alone are never broken.
        limit = columns if self.columns[part[-1]] in self.left else None
        last = _width([*widths.values()][:-1]) + 2

        def line(cells: Sequence[str]) -> str:
            padded = (
                cells[i].ljust(width) if self.columns[i] in self.left else cells[i].rjust(width)
                for i, width in widths.items()
            )
            return wrapped("  ".join(padded).rstrip(), limit, hang=last)

        if self.groups:
            yield "  ".join(_over(heading, widths, run) for heading, run in self._headings(part)).rstrip()
        yield line(self.columns)
        yield from (line(cells) for cells in self.rows if any(cells[i] for i in part))

    def _widths(self, part: Sequence[int]) -> dict[int, int]:
        """Return the width of each column: that of its widest cell, and room for the heading over it."""
        widths = {i: max(len(cells[i]) for cells in (self.columns, *self.rows)) for i in part}
        for heading, run in self._headings(part):
            widths[run[-1]] += max(0, len(heading) - _width(widths[i] for i in run))
        return widths

    def _headings(self, part: Sequence[int]) -> list[tuple[str, list[int]]]:
        """Return the heading of each group that has columns in `part`, with their numbers."""
        group = [number for number, (_, columns) in enumerate(self.groups) for _ in range(columns)]
        runs = itertools.groupby(part, key=group.__getitem__) if group else ()
        return [(self.groups[number][0], [*run]) for number, run in runs]

    def _hint(self, row: int, column: int) -> str:
        hint = self.hints.get((row, column))
        return f' title="{escape(hint)}"' if hint else ""


class Shown:
    """What is shown as its `text`: whole where it is printed, as wide as the terminal at Python's prompt."""

    def text(self, width: int | None = None) -> str:
        """Return the text, in lines of `width` at most; None is any width."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Write the text."""
        return self.text()

    def __repr__(self) -> str:
        """Write the text as wide as the terminal."""
        return self.text(terminal_columns(sys.stdout))


def html(parts: Iterable[Table | Sequence[str]]) -> str:
    """Return tables and lists of sentences, in their order, as one element that needs nothing else."""
    body = "".join(part.html() if isinstance(part, Table) else _list(part) for part in parts)
    return f'<div class="formfn"><style>{_STYLE}</style>{body}</div>'


def _width(widths: Iterable[int]) -> int:
    """Return the width of columns side by side, two blanks between them."""
    return sum(width + 2 for width in widths) - 2


def _over(heading: str, widths: Mapping[int, int], run: Sequence[int]) -> str:
    width = _width(widths[i] for i in run)
    spaced = f" {heading} "
    return spaced.center(width, "-") if heading and len(spaced) <= width else heading.rjust(width)


def _list(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
