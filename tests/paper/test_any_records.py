"""Whatever records there are, each picture is drawn or refused in words, and claims have verdicts."""

from __future__ import annotations

import random

import pytest

from formfn_profile import plot, reporting
from formfn_profile.correlation import compare_slopes, correlations, slopes
from formfn_profile.errors import ResultsError
from formfn_profile.findings import VERDICTS, check

ISAS = (None, "avx2", "aten avx2, onednn avx512", "avx512 (3 layers), avx2 (1)")


def anything(make, seed):
    pick = random.Random(seed)
    for _ in range(pick.randint(1, 14)):
        network = pick.choice(("standard", "grouped", "dwbottleneck", "resnet18", "darts", "own.onnx"))
        pattern = network in ("standard", "grouped", "dwbottleneck")
        point = {
            "network": network,
            "pattern": network if pattern else None,
            "depth": pick.choice((1, 10, 50)) if pattern else None,
            "width": pick.choice((32, 64)) if pattern else None,
            "backend": pick.choice(("torch", "openvino-cpu", "openvino-gpu", "torch-onednn")),
            "precision": pick.choice(("f32", "f16")),
            "batch": pick.choice((1, 8)),
            "process": pick.choice((0, 1)),
            "isa": pick.choice(ISAS),
            "flops": pick.choice((None, 0, 10**9)),
        }
        kind = pick.choice(("timed", "simulated", "hardware", "failed"))
        if kind == "timed":
            make.timed(pick.choice((1e-6, 0.01, 2.0)), calls=pick.choice((1, 3, 11)), **point)
        elif kind == "simulated":
            make.counted(
                pick.choice(({"host": 0, "paper": 0}, {"host": 9, "paper": 10**6}, {"paper": 5})), **point
            )
        elif kind == "hardware":
            make.counted({None: pick.choice((0, 5000))}, source="hardware", instructions=0, **point)
        else:
            make.failed("why | <b>", **point)
    return make.made


@pytest.mark.slow
@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("seed", range(24))
def test_any_records(make, seed):
    records = anything(make, seed)
    for picture in plot.FIGURES.values():
        try:
            picture.draw(records, None)
        except ResultsError as error:
            assert "nothing to draw" in str(error)  # noqa: PT017
    assert {each.finding.verdict for each in check(records)} <= set(VERDICTS)
    correlations(records)
    compare_slopes(slopes(records))


def test_records_of_failures_alone_make_a_report(make, tmp_path):
    make.failed("first | <b>", depth=10)
    make.failed("second", depth=50)
    reporting.write_html(make.made, tmp_path / "r.html")
    assert "first | &lt;b&gt;" in (tmp_path / "r.html").read_text()
    reporting.write_markdown(make.made, tmp_path / "r.md")
    assert "second" in (tmp_path / "r.md").read_text()
