"""Every example runs in its small form, and is short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from formfn_profile.store import load

FOLDER = Path(__file__).parents[2] / "examples"
DRAWN = {
    "figure1_depth": "figure1-small",
    "figure2_width": "figure2-small",
    "figure3_misses_depth": "figure3-small",
    "figure4_misses_width": "figure4-small",
    "figure5_networks": "figure5-small",
    "cache_size": "cache-size-small",
}
SIMULATED = ("figure3_misses_depth", "figure4_misses_width", "cache_size")


def run(name, *words):
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout


def test_every_example_is_tested_and_under_60_lines():
    found = {path.stem: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    assert set(found) == {*DRAWN, "count_any_code", "own_model", "search"}
    assert {name: lines for name, lines in found.items() if lines >= 60} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.simulator] if name in SIMULATED else []) for name in DRAWN]
)
def test_example_draws_its_figure(name, tmp_path):
    if name == "figure5_networks":
        pytest.importorskip("pytorchcv")
    out = run(name, "--out", tmp_path)
    picture = tmp_path / f"{DRAWN[name]}.png"
    assert f"Picture: {picture}" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    records = load(picture.with_suffix(".jsonl"))
    assert {each.status for each in records if each.backend != "openvino-gpu"} == {"ok"}
    assert {each.backend for each in records} >= {"torch", "openvino-cpu"}
    assert any(each.counts for each in records) == (name in SIMULATED)


def test_any_code_is_counted():
    out = run("count_any_code")
    assert "By rows: 16000000\n" in out
    assert "By columns: 16000000\n" in out
    assert out.count("page-faults") >= 2


@pytest.mark.slow
def test_a_model_of_ones_own_is_measured(tmp_path):
    out = run("own_model", "--out", tmp_path)
    assert "own_model:small  openvino-cpu" in out
    assert [each.status for each in load(tmp_path / "own-model.jsonl")] == ["ok", "ok"]


@pytest.mark.slow
def test_networks_are_searched_and_the_best_is_measured(tmp_path):
    """From the records of docs/paper.md."""
    out = run(
        "search", "--records", FOLDER.parent / "docs" / "data" / "paper.jsonl.gz", "--out", tmp_path / "new"
    )
    assert "openvino-cpu: of 50 candidates, within 10 ms" in out
    assert "Searched 50 in " in out
    (best,) = load(tmp_path / "new" / "search-best.jsonl")
    assert (best.network, best.status) == ("best", "ok")
