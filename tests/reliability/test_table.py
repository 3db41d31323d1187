"""The table of docs/reliability.md is of tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [line for line in lines if not line.startswith(("| Fault", "| ---"))]


def names_in(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_row_names_a_test():
    assert len(rows()) > 20
    assert [row for row in rows() if not _TEST.search(row)] == []


def test_each_named_test_exists():
    named = _TEST.findall(PAGE.read_text(encoding="utf-8"))
    known = {path: names_in(path) for path, _ in named}
    assert [(path, name) for path, name in named if name not in known[path]] == []
