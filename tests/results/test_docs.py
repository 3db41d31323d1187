"""What docs/records.md asks of DuckDB gives what the records hold."""

from __future__ import annotations

import statistics
from pathlib import Path

import docs_blocks
import pytest

from formfn_profile.results import Count
from formfn_profile.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "records.md"
QUERIES = [each.code for each in docs_blocks.blocks(PAGE) if each.language == "sql"]


@pytest.fixture
def folder(make, tmp_path, monkeypatch):
    """A folder with records.jsonl, whose last line is torn."""
    monkeypatch.chdir(tmp_path)
    counts = (
        Count(event="instructions", samples=(10, 20), source="simulated"),
        Count(event="LLC-misses", samples=(7, None, 9), source="simulated", cache="paper"),
    )
    with Store(tmp_path / "records.jsonl") as store:
        store.append(make(latency_s=(0.5, 0.25, 0.125, 0.75), kernels={"jit": 3}))
        store.append(make(depth=20, launcher="llcsim", counts=counts, kernels={"gemm": 1}))
        store.append(make(depth=30, status="failed", reason="why"))
        store.append(make(network="resnet50", depth=None, latency_s=(2.0, 1.0, 4.0)))
    with (tmp_path / "records.jsonl").open("a") as torn:
        torn.write('{"schema": 1, "netw')
    return tmp_path


def test_the_queries_give_the_medians(folder):
    """`statistics.median` of the samples written above."""
    duckdb = pytest.importorskip("duckdb")
    latency, misses = (duckdb.sql(query).fetchall() for query in QUERIES)
    assert latency == [
        ("resnet50", None, "torch", 1, 1000 * statistics.median([2.0, 1.0, 4.0])),
        ("standard", 10, "torch", 1, 1000 * statistics.median([0.5, 0.25, 0.125, 0.75])),
    ]
    assert misses == [("standard", 20, "torch", "paper", statistics.median([7, 9]))]
