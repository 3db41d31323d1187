"""Records made by hand: fields that matter are arguments, the others are the same everywhere."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from formfn_profile.results import Record

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


@pytest.fixture
def make():
    """Return a maker of records: `make(latency_s=(...), at=seconds)`."""
    number = 0

    def make(*, at: float = 0, **fields) -> Record:
        nonlocal number
        number += 1
        asked = {
            "status": "ok",
            "run_id": f"run{number}",
            "time": (START + dt.timedelta(seconds=at)).isoformat(timespec="milliseconds"),
            "launcher": "native",
            "network": "standard",
            "pattern": "standard",
            "depth": 10,
            "width": 64,
            "resolution": 112,
            "batch": 1,
            "backend": "torch",
            "precision": "f32",
            "threads": 1,
            "isa": "avx2",
            "isa_cap": "native",
            "machine": {"cpu": "Some CPU", "cpus": 4, "kernel": "6.1"},
            "versions": {"torch": "2.13.0"},
        }
        return Record(**asked | fields)

    return make


@pytest.fixture
def sides(make):
    """Return a maker of two interleaved sides, from the medians of their processes."""

    def sides(a, b, **fields):
        def side(medians, offset):
            return [
                make(latency_s=(0.9 * median, median, 1.3 * median), at=2 * i + offset, **fields)
                for i, median in enumerate(medians)
            ]

        return side(a, 0), side(b, 1)

    return sides


@pytest.fixture
def scattered():
    """Return a seeded source of medians whose logarithms are normal with a standard deviation `spread`."""
    source = random.Random(20260101)

    def scattered(n, spread=0.02, times=1.0):
        return [times * 2.718281828459045 ** source.gauss(0, spread) for _ in range(n)]

    return scattered
