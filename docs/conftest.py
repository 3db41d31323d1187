"""What the pages show is tested where it stands: `pytest docs/tutorial.md`; see tools/docs_blocks.py."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docs_blocks
import pytest
from sybil import Document, Example, Region, Sybil

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = Path(__file__).parent / "data" / "paper.jsonl.gz"
COUNT = {"event": "LLC-misses", "samples": [7, None, 9], "source": "simulated", "cache": "paper"}


def regions(document: Document) -> Iterator[Region]:
    """Give a page's blocks as what Sybil evaluates."""
    for block in docs_blocks.blocks(Path(document.path), document.text):
        if not block.not_run:
            yield Region(*block.span, block, evaluate)


def evaluate(example: Example) -> None:
    """Run a block in its page's folder, as Python in its page's namespace."""
    block: docs_blocks.Block = example.parsed

    def python() -> None:
        source = "\n" * (block.line - 1) + block.code
        exec(compile(source, block.page, "exec", dont_inherit=True), example.namespace)  # noqa: S102

    docs_blocks.evaluate(block, example.namespace["page_folder"], python)


def begin(namespace: dict[str, Any]) -> None:
    """Make a page's folder, with records in it as a reader would have them, and go there."""
    folder = Path(tempfile.mkdtemp(prefix="page-"))
    lines = gzip.decompress(RECORDS.read_bytes()).decode().splitlines()
    counted = json.loads(lines[0]) | {"launcher": "llcsim", "latency_s": [], "counts": [COUNT]}
    (folder / "records.jsonl").write_text("\n".join([*lines, json.dumps(counted), ""]))
    namespace |= {"page_folder": folder, "page_before": (Path.cwd(), list(sys.path))}
    namespace["page_registries"] = [(each, dict(each)) for each in docs_blocks.registries()]
    os.chdir(folder)
    sys.path.insert(0, str(folder))


def end(namespace: dict[str, Any]) -> None:
    """Leave everything as it was."""
    before, sys.path[:] = namespace["page_before"]
    os.chdir(before)
    for registry, entries in namespace["page_registries"]:
        registry.clear()
        registry.update(entries)
    shutil.rmtree(namespace["page_folder"])


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the blocks of a page that measures as slow: what comes later needs its records."""
    example = getattr(item, "example", None)
    if isinstance(example, Example):
        page = [each for each in docs_blocks.blocks(example.parsed.page) if each.runs]
        if any("formfn-profile" in each.code or "ff.measure(" in each.code for each in page):
            item.add_marker(pytest.mark.slow)
        if any("--cache" in each.code for each in page):
            item.add_marker(pytest.mark.simulator)


pytest_collect_file = Sybil([regions], patterns=["*.md"], setup=begin, teardown=end).pytest()
