"""A report as one HTML page that needs nothing else: inline pictures, sortable tables, the records."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from formfn_profile.reporting.content import Bullets, Drawing, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from formfn_profile.reporting.content import Block, Cell, Report
    from formfn_profile.results import Record

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def render(report: Report, records: Sequence[Record]) -> str:
    """Return the page."""
    menu = "".join(
        f'<li><a href="#{_anchor(each.title)}">{escape(each.title)}</a></li>' for each in report.sections
    )
    body = "".join(
        f'<section id="{_anchor(each.title)}"><h2>{escape(each.title)}</h2>'
        + "".join(map(_block, each.blocks))
        + "</section>\n"
        for each in report.sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(report.title)}</title>\n<style>\n{_part('page.css')}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(report.title)}</h1><p>{escape(report.summary)}</p>"
        f"<nav><ul>{menu}</ul></nav></header>\n<main>\n{body}{_download(records)}</main>\n"
        f"<script>\n{_part('page.js')}</script>\n</body>\n</html>\n"
    )


def svg(figure: Figure, name: str, title: str) -> str:
    """Return a figure as an SVG element, glyphs as paths, so that it looks the same everywhere."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    element = text.getvalue()[text.getvalue().index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    # Names of glyphs, clips and markers are the page's: two pictures must not share them.
    element = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", element)
    return element.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{escape(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Table):
        return _table(block)
    return _figure(block)


def _figure(block: Drawing) -> str:
    return (
        f'<figure id="{block.name}"><figcaption>{escape(block.title)}</figcaption>'
        f'<div class="scroll">{svg(block.figure, block.name, block.title)}</div></figure>\n'
    )


def _table(block: Table) -> str:
    head = "".join(
        f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in block.columns
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(block.columns) else ""
    numbers = block.kind == "numbers"
    rows = "".join(f"<tr>{''.join(_cell(cell, numbers=numbers) for cell in row)}</tr>" for row in block.rows)
    return f'<div class="scroll"><table class="{block.kind}">{head}<tbody>{rows}</tbody></table></div>'


def _cell(cell: Cell, *, numbers: bool) -> str:
    key = "" if cell.key is None else f' data-key="{escape(str(cell.key))}"'
    kind = ' class="number"' if numbers and isinstance(cell.key, (int, float)) else ""
    return f"<td{key}{kind}>{escape(cell.text)}</td>"


def _download(records: Sequence[Record]) -> str:
    lines = "".join(json.dumps(record.to_dict(), allow_nan=False) + "\n" for record in records)
    packed = base64.b64encode(gzip.compress(lines.encode(), mtime=0)).decode()
    return (
        '<section id="records"><h2>Records</h2><p><a download="records.jsonl.gz"'
        f' href="data:application/gzip;base64,{packed}">All {len(records)} records</a>'
        " (JSON lines, gzip), from which this page was made:"
        " <code>formfn-profile report records.jsonl.gz -o report.html</code></p></section>\n"
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")


def _part(name: str) -> str:
    return resources.files("formfn_profile.reporting").joinpath(name).read_text(encoding="utf-8")
