"""The report of a study, from its records only: one HTML page, or Markdown with its pictures beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError
from formfn_profile.reporting import html, markdown
from formfn_profile.reporting.content import Drawing, compose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from formfn_profile.ceilings import Ceilings
    from formfn_profile.results import Record

__all__ = ["compose", "write_html", "write_markdown"]


def write_html(records: Sequence[Record], path: Path, ceilings: Ceilings | None = None) -> None:
    """
    Write one self-contained page.

    Raises:
        ResultsError: There is no record, or the file cannot be written.
    """
    _write(path, "")  # what cannot be written is said before the drawing, not after it
    _write(path, html.render(compose(records, ceilings), records))


def write_markdown(records: Sequence[Record], path: Path, ceilings: Ceilings | None = None) -> None:
    """
    Write Markdown, and its pictures into a folder beside it: `report.md` and `report_figures/`.

    Raises:
        ResultsError: There is no record, or a file cannot be written.
    """
    from formfn_profile import plot

    _write(path, "")
    report = compose(records, ceilings)
    folder = path.with_name(f"{path.stem}_figures")
    _write(path, markdown.render(report, folder.name))
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot make {folder}: {error.strerror}. Name another file with --out") from None
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Drawing):
                plot.save(block.figure, folder / f"{block.name}.png")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(
            f"cannot write the report {path}: {error.strerror}. Name another file with --out"
        ) from None
