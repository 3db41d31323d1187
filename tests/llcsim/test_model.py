"""The C model of the caches against the slow Python one, event for event."""

from __future__ import annotations

import os
import random
import shlex
import struct
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_model import Access, Geometry, Model

from perfcounters._sources import llcsim_sources

pytestmark = pytest.mark.simulator

POLICIES = ["lru", "plru"]
INCLUSIONS = ["non-inclusive", "inclusive", "exclusive"]
CURVE_WAYS = 64


@pytest.fixture(scope="module", params=["batch_avx2", "batch_plain"])
def harness(compile_program, request):
    """The C model as it picks its code by the processor, and held to the code for any."""
    stems = ["cache", "level", "coupled", "ranges", "batch_plain"]
    sanitizers = shlex.split(os.environ.get("FORMFN_SANITIZERS", ""))  # of `make sanitize`
    held = ["-Dbatch_avx2=batch_plain"]
    if request.param == "batch_avx2":
        stems, held = [*stems, "batch_avx2"], []
    parts = [str(llcsim_sources() / f"{stem}.c") for stem in stems]
    return compile_program("harness.c", "-O2", *sanitizers, *held, *parts, name=f"harness-{request.param}")


def spec(p: Model) -> str:
    numbers = []
    for g in (p.l1d, p.l2, p.llc):
        numbers += [g.sets, g.ways, POLICIES.index(g.policy)] if g else [0, 0, 0]
    return ":".join(map(str, [*numbers, INCLUSIONS.index(p.inclusion)]))


def count(harness, processors, accesses, *, curves=False):
    """Counts of accesses, and counts (and curve) of each processor, by the C model."""
    trace = b"".join(struct.pack("<QQ", a.thread, a.entry) for a in accesses)
    argv = [harness, str(int(curves)), *map(spec, processors)]
    done = subprocess.run(argv, input=trace, capture_output=True, check=True)
    totals, *rows = done.stdout.decode().splitlines()
    return [int(n) for n in totals.split()], [[int(n) for n in row.split()] for row in rows]


lru = st.builds(Geometry, st.sampled_from([1, 2, 3, 4, 8, 12]), st.one_of(st.integers(1, 6), st.just(18)))
plru = st.builds(
    Geometry, st.sampled_from([1, 2, 3, 4, 8, 12]), st.sampled_from([1, 2, 4, 8]), st.just("plru")
)
geometries = st.one_of(lru, plru)
models = st.builds(
    Model, geometries, st.one_of(st.none(), geometries), geometries, st.sampled_from(INCLUSIONS)
)
cached = st.builds(
    Access,
    thread=st.integers(0, 2),
    address=st.integers(64, 64 * 40),
    size=st.integers(1, 64),
    write=st.booleans(),
)
past_caches = st.builds(
    Access,
    thread=st.integers(0, 2),
    address=st.integers(64, 64 * 40),
    size=st.sampled_from([4, 8, 16, 32]),
    write=st.just(True),
    non_temporal=st.just(True),
)
accesses = st.one_of(cached, cached, cached, past_caches)


@given(st.lists(models, min_size=1, max_size=4), st.lists(accesses, max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_trace_counts_as_the_plain_model(harness, processors, trace):
    """Any geometry, policy and inclusion; any threads; reads, writes, straddling and non-temporal ones."""
    totals, rows = count(harness, processors, trace)
    assert rows == [p.run(trace) for p in processors]
    past = [a for a in trace if a.non_temporal]
    writes = sum(a.write for a in trace)
    assert totals == [len(trace) - writes, writes, len(past), sum(a.size for a in past)]


@given(st.builds(Model, geometries, st.one_of(st.none(), geometries), lru), st.lists(accesses, max_size=300))
@settings(max_examples=60, deadline=None)
def test_the_curve_at_a_size_is_the_single_size_model_there(harness, processor, trace):
    """Misses at w ways equal those of the plain model with an LLC of w ways."""
    _, rows = count(harness, [processor], trace, curves=True)
    curve = rows[0][5:]
    assert len(curve) == CURVE_WAYS
    for ways in (1, 2, 3, 5, 8, 13, 18, 30, 64):
        plain = Model(processor.l1d, processor.l2, Geometry(processor.llc.sets, ways))
        assert curve[ways - 1] == plain.run(trace)[3]


@given(st.builds(Model, geometries, geometries, lru, st.just("exclusive")), st.lists(cached, max_size=300))
@settings(max_examples=30, deadline=None)
def test_the_curve_behind_a_victim_cache_is_of_its_references(harness, processor, trace):
    """Misses never grow with the ways, and begin at no more than the references."""
    _, rows = count(harness, [processor], trace, curves=True)
    references, curve = rows[0][2], rows[0][5:]
    assert [references, *curve] == sorted([references, *curve], reverse=True)


def long_trace(kind: str, n: int) -> list[Access]:
    rng = random.Random(7)
    lines = {
        "uniform": lambda _: rng.randrange(1, 60_000),
        "strided": lambda i: 1 + (i * 64) % 70_000,
        "looping": lambda i: 1 + i % 4_200,
        "hot": lambda _: rng.randrange(1, 300) if rng.random() < 0.8 else rng.randrange(1, 90_000),
    }[kind]
    trace = []
    for i in range(n):
        address = 64 * lines(i) + 8 * rng.randrange(8)
        trace.append(Access(i // 5000 % 2, address, 8, rng.random() < 0.3))
        if rng.random() < 0.002:
            trace[-1] = replace(trace[-1], write=True, non_temporal=True)
    return trace


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, n", [("uniform", 1_000_000), ("hot", 300_000), ("strided", 100_000), ("looping", 100_000)]
)
def test_long_traces_count_as_the_plain_model(harness, kind, n):
    """A million uniform accesses; fewer hot and cold ones, strides that fill few sets, loops too long."""
    if "plain" in harness.name:
        n //= 10
    trace = long_trace(kind, n)
    processors = [
        Model(Geometry(64, 8), Geometry(1024, 4), Geometry(4096, 16)),
        Model(Geometry(64, 12), Geometry(2048, 16), Geometry(15 * 1024, 16)),
        Model(Geometry(64, 8), None, Geometry(4096, 20)),
        Model(Geometry(64, 8, "plru"), Geometry(1024, 4, "plru"), Geometry(4096, 16, "plru")),
        Model(Geometry(64, 8), Geometry(256, 4), Geometry(512, 12), "inclusive"),
        Model(Geometry(64, 8, "plru"), Geometry(256, 8), Geometry(2048, 16), "exclusive"),
    ]
    _, rows = count(harness, processors, trace, curves=True)
    assert [row[:5] for row in rows] == [p.run(trace) for p in processors]
    for row, processor in zip(rows[:2], processors, strict=False):
        assert row[5 + processor.llc.ways - 1] == row[3]


def test_an_access_over_two_lines_is_two(harness):
    """8 bytes at offset 60 of a line touch it and the next one."""
    _, rows = count(
        harness, [Model(Geometry(64, 8), None, Geometry(64, 8))], [Access(0, 124, 8, write=False)]
    )
    assert rows[0][:4] == [2, 0, 2, 2]


def reads(*lines: int) -> list[Access]:
    return [Access(0, 64 * line, 8, write=False) for line in lines]


def test_tree_plru_evicts_what_its_bits_point_to(harness):
    """Four ways filled with 1-4, then 1 used: the root points right, there to 3; LRU would take 2."""
    one = Geometry(1, 4, "plru")
    _, rows = count(harness, [Model(one, None, Geometry(1, 16))], reads(1, 2, 3, 4, 1, 5, 2, 4))
    assert rows[0][0] == 5
    _, rows = count(harness, [Model(one, None, Geometry(1, 16))], reads(1, 2, 3, 4, 1, 5, 3))
    assert rows[0][0] == 6


def test_an_inclusive_llc_evicts_from_l1d(harness):
    """A line always used in L1d grows old in the LLC, and its eviction there is a miss here."""
    trace = reads(1, 2, 1, 3, 1)
    inclusive = Model(Geometry(1, 4), None, Geometry(1, 2), "inclusive")
    other = replace(inclusive, inclusion="non-inclusive", counts={})
    _, rows = count(harness, [inclusive, other], trace)
    assert [row[0] for row in rows] == [4, 3]


def test_an_exclusive_llc_adds_to_the_l2(harness):
    """A loop over L2 and LLC together misses once a line; over a non-inclusive LLC always."""
    trace = reads(*(1 + i % 6 for i in range(60)))
    small = Model(Geometry(1, 1), Geometry(1, 2), Geometry(1, 4), "exclusive")
    other = replace(small, inclusion="non-inclusive", counts={})
    _, rows = count(harness, [small, other], trace)
    assert [row[3] for row in rows] == [6, 60]
