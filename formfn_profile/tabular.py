"""Tables, as text for a terminal and as HTML for a notebook: the same cells in both."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Table", "html"]

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

    `left` names the columns that are set flush left, and `wrapped` those of sentences (in HTML). `groups`
    are headings over several columns each: (heading, number of columns), "" for none. `hints` are what HTML
    shows of a cell when it is pointed at, by (row, column).
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    left: tuple[str, ...] = ()
    groups: tuple[tuple[str, int], ...] = ()
    remarks: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()
    hints: dict[tuple[int, int], str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the lines for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]

        def line(cells: Sequence[str]) -> str:
            padded = (
                cell.ljust(width) if name in self.left else cell.rjust(width)
                for name, cell, width in zip(self.columns, cells, widths, strict=True)
            )
            return "  ".join(padded).rstrip()

        over = [self._over(widths)] if self.groups else []
        return "\n".join([self.title, *over, line(self.columns), *map(line, self.rows), *self.remarks])

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

    def _over(self, widths: Sequence[int]) -> str:
        over, at = "", 0
        for title, columns in self.groups:
            width = sum(widths[at : at + columns]) + 2 * (columns - 1)
            over += (f" {title} ".center(width, "-") if title else " " * width) + "  "
            at += columns
        return over.rstrip()

    def _hint(self, row: int, column: int) -> str:
        hint = self.hints.get((row, column))
        return f' title="{escape(hint)}"' if hint else ""


def html(parts: Iterable[Table | Sequence[str]]) -> str:
    """Return tables and lists of sentences, in their order, as one element that needs nothing else."""
    body = "".join(part.html() if isinstance(part, Table) else _list(part) for part in parts)
    return f'<div class="formfn"><style>{_STYLE}</style>{body}</div>'


def _list(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
