"""Every Python block of the documentation runs."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from perfcounters.__main__ import COMMANDS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "perfcounters"
BLOCKS = [
    (page.name, number, block)
    for page in sorted(DOCS.glob("*.md"))
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize("page,number,block", BLOCKS, ids=[f"{page}-{number}" for page, number, _ in BLOCKS])
def test_block_runs(page, number, block):
    subprocess.run([sys.executable, "-W", "error", "-c", block], check=True, capture_output=True, timeout=60)


def test_the_reference_is_that_of_the_docstrings():
    """Else: python tools/perfcounters_reference.py."""
    tool = runpy.run_path(str(DOCS.parents[1] / "tools" / "perfcounters_reference.py"))
    assert (DOCS / "reference.md").read_text() == tool["text"]()


def test_every_command_and_page_is_named():
    index = (DOCS / "index.md").read_text()
    for name in ("doctor", "list", "stat"):
        assert name in COMMANDS
        assert f"`{name}" in index or f"perfcounters {name}" in index
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} == set(
        re.findall(r"\(([\w-]+\.md)\)", index)
    )
