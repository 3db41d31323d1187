"""Records made by hand: three points of one machine, and one that failed."""

from __future__ import annotations

import pytest

from formfn_profile.display import Results
from formfn_profile.results import Count, Record

ASKED = {
    "run_id": "made-up",
    "network": "standard",
    "pattern": "standard",
    "depth": 10,
    "width": 64,
    "resolution": 112,
    "precision": "f32",
    "threads": 1,
    "flops": 2_000_000_000,
    "isa": "avx2",
    "kernels": {"jit:avx2": 10},
    "machine": {"cpu": "Made-up CPU", "caches": "LLC 32 MiB/16-way"},
    "versions": {"torch": "2.0"},
}


def record(second, **fields):
    time = f"2026-01-01T00:00:{second:02}+00:00"
    return Record(**{"status": "ok", "time": time, "launcher": "native", **ASKED, **fields})


@pytest.fixture
def results():
    """PyTorch in 4 ms, OpenVINO in 2 ms with 4,200 misses of the hardware, and the GPU failed."""
    misses = Count(
        event="LLC-misses", samples=(4_200,), source="hardware", encoding="raw 0x412e", scope="process"
    )
    return Results(
        (
            record(1, backend="torch", latency_s=(0.004,) * 5),
            record(2, backend="openvino-cpu", latency_s=(0.002,) * 5, counts=(misses,)),
            record(3, backend="openvino-gpu", status="failed", reason="no <device> here"),
        ),
        "Known misses count right.",
    )
