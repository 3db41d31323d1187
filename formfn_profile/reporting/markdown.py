"""A report as Markdown, for a repository; its pictures are files beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.reporting.content import Bullets, Drawing, Paragraph, Table

if TYPE_CHECKING:
    from formfn_profile.reporting.content import Block, Report


def render(report: Report, folder: str) -> str:
    """Return the text; pictures are `folder`/NAME.png."""
    parts = [f"# {_plain(report.title)}", _plain(report.summary)]
    for section in report.sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_block(block, folder) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: Block, folder: str) -> str:
    if isinstance(block, Paragraph):
        return _plain(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_plain(item)}" for item in block.items)
    if isinstance(block, Drawing):
        return f"![{_plain(block.title)}]({folder}/{block.name}.png)"
    return _table(block)


def _table(block: Table) -> str:
    lines = [list(block.columns), ["---"] * len(block.columns)]
    lines += [[_plain(cell.text) for cell in row] for row in block.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Escape what Markdown would read as markup."""
    for sign in "\\|<>*_`[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
