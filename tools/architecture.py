"""
Write docs/images/architecture.svg: the parts of the project, and what imports what.

    python tools/architecture.py

`PARTS` is the table; the arrows are read from the code, and tests/project/test_structure.py holds both.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in ("perfcounters", "formfn_profile")
    for path in sorted((ROOT / package).rglob("*.py"))
}


@dataclass(frozen=True)
class Part:
    """A box of the picture: its modules or packages, and where it stands; imports only ever point down."""

    title: str
    members: tuple[str, ...]
    column: float
    row: int


def _ours(names: str) -> tuple[str, ...]:
    return tuple(f"formfn_profile.{name}" for name in names.split())


PARTS = (
    Part(
        "Command lines",
        _ours(
            "__main__ llc study_command layers_command compare_command export_command correlate_command"
            " claims_command plot_command report_command roofline_command advise_command options running"
        ),
        1,
        0,
    ),
    Part("Python", _ours("api given"), 2, 0),
    Part("Report", _ours("reporting display advisor ranking"), 0, 1),
    Part(
        "Study",
        _ours("cluster execution grid source recording plan preparation preparers progress scratch"),
        2,
        1,
    ),
    Part("Pictures", _ours("plot"), 0, 2),
    Part(
        "Statistics",
        _ours("observations gather correlation correlate_text findings claims_text cost_model cost_text"),
        0,
        3,
    ),
    Part("Measuring", _ours("measuring"), 2, 4),
    Part("Networks", _ours("patterns calibration networks models model_files live flops operations"), 1, 4),
    Part(
        "Tables", _ours("table tabular notes flags dip by_layer layer_table comparable compare export"), 0, 5
    ),
    Part("Backends", _ours("backends"), 1, 5),
    Part("Records", _ours("results store fields ceilings samples association shift brief errors"), 0, 6),
    Part("Counters", ("perfcounters",), 2, 6),
)
EXTENSION = "perfcounters._perf"
OUTSIDE = ("formfn_profile.__init__",)
"""What no part has: it loads what is asked of the package when it is asked."""

C_CODE = (("csrc/perf_event", "perf_event_open(2)", 1), ("csrc/llcsim", "the cache simulator", 2))
"""What is compiled, for the part in the last row but one: folder, what it is, column."""


def part_of(module: str) -> Part | None:
    """Return the part that a module belongs to."""
    for part in PARTS:
        if any(module == member or module.startswith(f"{member}.") for member in part.members):
            return part
    return None


@cache
def imports(module: str) -> set[str]:
    """Return the project's modules that a module imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if _known(inner) or inner == EXTENSION else base)
    return {known for name in found if (known := _known(name))} - {module}


def _known(name: str) -> str | None:
    return next((each for each in (name, f"{name}.__init__") if each in MODULES), None)


def arrows() -> dict[tuple[Part, Part], list[tuple[str, str]]]:
    """Return which part imports which, and by which imports of modules."""
    found: dict[tuple[Part, Part], list[tuple[str, str]]] = {}
    for module in MODULES:
        for other in sorted(imports(module)):
            ends = part_of(module), part_of(other)
            if ends[0] and ends[1] and ends[0] is not ends[1]:
                found.setdefault((ends[0], ends[1]), []).append((module, other))
    return found


def drawn() -> list[tuple[Part, Part]]:
    """Return the arrows without those that others imply: where a longer way leads to the same part."""
    every = arrows()
    below: dict[Part, set[Part]] = {part: set() for part in PARTS}
    for part in sorted(PARTS, key=lambda each: -each.row):
        for start, end in every:
            if start is part:
                below[part] |= {end} | below[end]
    return [
        (start, end)
        for start, end in every
        if not any(other is not end and end in below[other] for first, other in every if first is start)
    ]


_STYLE = """<title>Parts of the project; an arrow leads from what imports to what is imported</title>
<style>
text { font-family: sans-serif; text-anchor: middle; fill: #222 }
.t { font-size: 15px; font-weight: bold }
.m { font-size: 12px }
rect { stroke: #777 }
path { stroke: #555; stroke-width: 1.4; fill: none; marker-end: url(#a) }
marker path { fill: #555; stroke: none; marker-end: none }
</style>
<defs>
<marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0,0 L8,4 L0,8 z"/>
</marker>
</defs>"""
WIDTH, STEP_X, STEP_Y, MARGIN, LINE, COLUMNS = 250, 290, 118, 16, 15, 37


def _lines(words: list[str]) -> list[str]:
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > COLUMNS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _texts(part: Part) -> list[str]:
    return _lines([name.removeprefix("formfn_profile.").removesuffix("_command") for name in part.members])


def _box(title: str, lines: list[str], column: float, row: int, colour: str) -> str:
    x, y = MARGIN + column * STEP_X, MARGIN + row * STEP_Y
    height = 30 + LINE * len(lines)
    text = "".join(
        f'<text x="{x + WIDTH / 2:g}" y="{y + 36 + LINE * number:g}" class="m">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{height}" rx="6" fill="{colour}"/>'
        f'<text x="{x + WIDTH / 2:g}" y="{y + 20:g}" class="t">{escape(title)}</text>{text}'
    )


def _arrow(start: tuple[float, float, int], end: tuple[float, float]) -> str:
    """Draw from the foot of a box of so many lines, at (column, row), to the head of another."""
    column, row, lines = start
    shift = 40 * max(-1.0, min(1.0, end[0] - column))
    x1, y1 = MARGIN + column * STEP_X + WIDTH / 2 + shift, MARGIN + row * STEP_Y + 30 + LINE * lines
    x2, y2 = MARGIN + end[0] * STEP_X + WIDTH / 2 - shift, MARGIN + end[1] * STEP_Y - 2
    return f'<path d="M{x1:g},{y1:g} L{x2:g},{y2:g}"/>'


def svg() -> str:
    """Return the picture."""
    rows = max(part.row for part in PARTS) + 1
    counters = next(part for part in PARTS if part.row == rows - 1 and part.column == 2)
    paths = [_arrow((a.column, a.row, len(_texts(a))), (b.column, b.row)) for a, b in drawn()]
    paths += [_arrow((counters.column, counters.row, 1), (column, rows)) for _, _, column in C_CODE]
    boxes = [
        _box(each.title, _texts(each), each.column, each.row, "#fbe6c8" if each is counters else "#d9ecea")
        for each in PARTS
    ]
    boxes += [_box(folder, [what], column, rows, "#eeeeee") for folder, what, column in C_CODE]
    width, height = 2 * MARGIN + 2 * STEP_X + WIDTH, 2 * MARGIN + rows * STEP_Y + 45
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
    paper = f'<rect width="{width}" height="{height}" fill="#fff" style="stroke:none"/>'
    return "\n".join([head, _STYLE, paper, *paths, *boxes, "</svg>", ""])


def main() -> int:
    """Write the picture."""
    PICTURE.write_text(svg(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
