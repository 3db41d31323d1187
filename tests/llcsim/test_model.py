"""The C model of the caches against the slow Python one, event for event."""

from __future__ import annotations

import random
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_model import Access, Geometry, Model

from perfcounters._sources import llcsim_sources

pytestmark = pytest.mark.simulator


@pytest.fixture(scope="module")
def harness(compile_program):
    return compile_program("harness.c", "-O2", str(llcsim_sources() / "cache.c"))


def count(harness, processors, accesses):
    """Counts of each processor by the C model."""
    specs = [":".join(f"{g.sets}/{g.ways}" if g else "0/0" for g in (p.l1d, p.l2, p.llc)) for p in processors]
    trace = b"".join(struct.pack("<QQ", a.thread, a.entry) for a in accesses)
    done = subprocess.run([harness, *specs], input=trace, capture_output=True, check=True)
    totals, *rows = done.stdout.decode().splitlines()
    return [int(n) for n in totals.split()], [[int(n) for n in row.split()] for row in rows]


geometries = st.builds(Geometry, st.sampled_from([1, 2, 3, 4, 8, 12]), st.integers(1, 6))
models = st.builds(Model, geometries, st.one_of(st.none(), geometries), geometries)
accesses = st.builds(
    Access,
    thread=st.integers(0, 2),
    address=st.integers(64, 64 * 40),
    size=st.integers(1, 64),
    write=st.booleans(),
)


@given(st.lists(models, min_size=1, max_size=4), st.lists(accesses, max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_trace_counts_as_the_plain_model(harness, processors, trace):
    """Any geometry (powers of two or not), any threads, reads and writes, straddling or not."""
    totals, rows = count(harness, processors, trace)
    assert rows == [p.run(trace) for p in processors]
    assert totals == [sum(not a.write for a in trace), sum(a.write for a in trace)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "strided", "looping", "hot"])
def test_a_million_accesses_count_as_the_plain_model(harness, kind):
    """Long traces: uniform, strides that fill few sets, loops just above a capacity, hot and cold."""
    rng = random.Random(7)
    lines = {
        "uniform": lambda _: rng.randrange(1, 60_000),
        "strided": lambda i: 1 + (i * 64) % 70_000,
        "looping": lambda i: 1 + i % 4_200,
        "hot": lambda _: rng.randrange(1, 300) if rng.random() < 0.8 else rng.randrange(1, 90_000),
    }[kind]
    trace = [
        Access(
            thread=i // 5000 % 2,
            address=64 * lines(i) + 8 * rng.randrange(8),
            size=8,
            write=rng.random() < 0.3,
        )
        for i in range(1_000_000)
    ]
    processors = [
        Model(Geometry(64, 8), Geometry(1024, 4), Geometry(4096, 16)),
        Model(Geometry(64, 12), Geometry(2048, 16), Geometry(15 * 1024, 16)),
        Model(Geometry(64, 8), None, Geometry(4096, 16)),
    ]
    _, rows = count(harness, processors, trace)
    assert rows == [p.run(trace) for p in processors]


def test_an_access_over_two_lines_is_two(harness):
    """8 bytes at offset 60 of a line touch it and the next one."""
    _, rows = count(
        harness, [Model(Geometry(64, 8), None, Geometry(64, 8))], [Access(0, 124, 8, write=False)]
    )
    assert rows[0][:4] == [2, 0, 2, 2]
