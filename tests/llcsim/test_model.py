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
from reference_model import NAMES, Access, Geometry, Model

from perfcounters._sources import llcsim_sources

pytestmark = pytest.mark.simulator

POLICIES = ["lru", "plru"]
INCLUSIONS = ["non-inclusive", "inclusive", "exclusive"]
CURVE_WAYS = 64
COUNTS = len(NAMES)


@pytest.fixture(scope="module", params=["batch_avx2", "batch_plain"])
def harness(compile_program, request):
    """The C model as it picks its code by the processor, and held to the code for any."""
    stems = ["cache", "level", "privates", "coupled", "ranges", "shape", "batch_plain"]
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
    return ":".join(map(str, [*numbers, INCLUSIONS.index(p.inclusion), int(p.next_line)]))


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
    Model,
    geometries,
    st.one_of(st.none(), geometries),
    geometries,
    st.sampled_from(INCLUSIONS),
    st.booleans(),
)
addresses = st.one_of(
    st.integers(64 * 40, 64 * 80),  # over the edge of a page at line 64
    st.integers(64 * 62, 64 * 66),  # lines that several threads want
)
cached = st.builds(
    Access,
    thread=st.integers(0, 2),
    address=addresses,
    size=st.integers(1, 64),
    write=st.booleans(),
)
past_caches = st.builds(
    Access,
    thread=st.integers(0, 2),
    address=addresses,
    size=st.sampled_from([4, 8, 16, 32]),
    write=st.just(True),
    non_temporal=st.just(True),
)
accesses = st.one_of(cached, cached, cached, past_caches)


def of_one_thread(thread: int, part: list[Access]) -> list[Access]:
    return [replace(a, thread=thread) for a in part]


short, long = (st.lists(accesses, min_size=n, max_size=2 * n) for n in (1, 30))
turns = st.builds(of_one_thread, st.integers(0, 2), st.one_of(short, long))
traces = st.lists(turns, max_size=12).map(lambda parts: [a for part in parts for a in part])


@given(st.lists(models, min_size=1, max_size=4), traces)
@settings(max_examples=300, deadline=None)
def test_any_trace_counts_as_the_plain_model(harness, processors, trace):
    """Any caches, prefetcher or not; any threads; reads, writes, straddling and non-temporal ones."""
    totals, rows = count(harness, processors, trace)
    assert rows == [p.run(trace) for p in processors]
    past = [a for a in trace if a.non_temporal]
    writes = sum(a.write for a in trace)
    assert totals == [len(trace) - writes, writes, len(past), sum(a.size for a in past)]


@given(
    st.builds(
        Model, geometries, st.one_of(st.none(), geometries), lru, st.just("non-inclusive"), st.booleans()
    ),
    traces,
)
@settings(max_examples=60, deadline=None)
def test_the_curve_at_a_size_is_the_single_size_model_there(harness, processor, trace):
    """Misses at w ways equal those of the plain model with an LLC of w ways."""
    _, rows = count(harness, [processor], trace, curves=True)
    curve = rows[0][COUNTS:]
    assert len(curve) == CURVE_WAYS
    for ways in (1, 2, 3, 5, 8, 13, 18, 30, 64):
        llc = Geometry(processor.llc.sets, ways)
        plain = Model(processor.l1d, processor.l2, llc, next_line=processor.next_line)
        assert curve[ways - 1] == plain.run(trace)[3]


@given(st.builds(Model, geometries, geometries, lru, st.just("exclusive")), st.lists(cached, max_size=300))
@settings(max_examples=30, deadline=None)
def test_the_curve_behind_a_victim_cache_is_of_its_references(harness, processor, trace):
    """Misses never grow with the ways, and begin at no more than the references."""
    _, rows = count(harness, [processor], trace, curves=True)
    references, curve = rows[0][2], rows[0][COUNTS:]
    assert [references, *curve] == sorted([references, *curve], reverse=True)


def long_trace(kind: str, n: int) -> list[Access]:
    rng = random.Random(7)
    turn = 50 if kind == "contended" else 5000
    lines = {
        "uniform": lambda _: rng.randrange(1, 60_000),
        "strided": lambda i: 1 + (i * 64) % 70_000,
        "looping": lambda i: 1 + i % 4_200,
        "contended": lambda _: rng.randrange(1, 3000),
        "hot": lambda _: rng.randrange(1, 300) if rng.random() < 0.8 else rng.randrange(1, 90_000),
    }[kind]
    trace = []
    for i in range(n):
        address = 64 * lines(i) + rng.choice([0, 8, 16, 24, 32, 40, 48, 56, 60])
        trace.append(Access(i // turn % 2, address, 8, rng.random() < 0.3))
        if rng.random() < 0.002:
            trace[-1] = replace(trace[-1], write=True, non_temporal=True)
    return trace


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, n",
    [
        ("uniform", 1_000_000),
        ("hot", 300_000),
        ("contended", 100_000),
        ("strided", 100_000),
        ("looping", 100_000),
    ],
)
def test_long_traces_count_as_the_plain_model(harness, kind, n):
    """
    A million uniform accesses; fewer hot and cold ones, ones of lines that two threads want in turns,
    strides that fill few sets, loops too long.
    """
    if "plain" in harness.name:
        n //= 10
    trace = long_trace(kind, n)
    plain = [
        Model(Geometry(64, 8), Geometry(1024, 4), Geometry(4096, 16)),
        Model(Geometry(64, 12), Geometry(2048, 16), Geometry(15 * 1024, 16)),
        Model(Geometry(64, 8), None, Geometry(4096, 20)),
        Model(Geometry(64, 8, "plru"), Geometry(1024, 4, "plru"), Geometry(4096, 16, "plru")),
    ]
    acting_back = [
        Model(Geometry(64, 8), Geometry(256, 4), Geometry(512, 12), "inclusive"),
        Model(Geometry(64, 8, "plru"), Geometry(256, 8), Geometry(2048, 16), "exclusive"),
    ]
    prefetching = [
        Model(Geometry(64, 8), Geometry(1024, 4), Geometry(4096, 16), next_line=True),
        Model(Geometry(64, 8), Geometry(256, 4), Geometry(2048, 16, "plru"), "exclusive", next_line=True),
    ]
    for models, part in ((plain, trace), (acting_back, trace), (prefetching, trace[: n // 5])):
        _, rows = count(harness, models, part, curves=True)
        assert [row[:COUNTS] for row in rows] == [p.run(part) for p in models]
        for row, model in zip(rows, models, strict=True):
            if model.inclusion == "non-inclusive" and model.llc.policy == "lru":
                assert row[COUNTS + model.llc.ways - 1] == row[NAMES.index("llc_misses")]


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


SMALL = Model(Geometry(4, 2), Geometry(8, 2), Geometry(16, 4))
EACH_INCLUSION = pytest.mark.parametrize("inclusion", INCLUSIONS)


def of(inclusion: str, **changes: object) -> Model:
    return replace(SMALL, inclusion=inclusion, counts={}, **changes)


def named(row: list[int]) -> dict[str, int]:
    return dict(zip(NAMES, row, strict=True))


@EACH_INCLUSION
def test_a_line_written_in_turns_is_taken_each_time(harness, inclusion):
    """
    Two threads write it ten times each: each write after a thread's first follows one of the other thread.
    Memory is read once, and nothing is written there: a dirty line goes from writer to writer.
    """
    turns = [Access(i % 2, 640, 8, write=True) for i in range(20)]
    _, (row,) = count(harness, [of(inclusion)], turns)
    counts = named(row)
    assert counts["l1d_misses"] == counts["llc_references"] == 20
    assert counts["coherence_misses"] == 20 - 2
    assert (counts["llc_misses"], counts["llc_writebacks"]) == (1, 0)


@EACH_INCLUSION
def test_a_reader_takes_nothing_from_a_writer(harness, inclusion):
    """One thread writes, another reads, ten times: the reader's copy is taken nine times, the other never."""
    turns = [Access(i % 2, 640, 8, write=i % 2 == 0) for i in range(20)]
    _, (row,) = count(harness, [of(inclusion)], turns)
    counts = named(row)
    assert (counts["l1d_misses"], counts["coherence_misses"], counts["llc_misses"]) == (1 + 10, 9, 1)


@EACH_INCLUSION
def test_readers_share(harness, inclusion):
    """Threads that read a line miss it once each, memory once, and take nothing from each other."""
    turns = [Access(i % 3, 640, 8, write=False) for i in range(30)]
    _, (row,) = count(harness, [of(inclusion)], turns)
    counts = named(row)
    assert (counts["l1d_misses"], counts["coherence_misses"], counts["llc_misses"]) == (3, 0, 1)


@EACH_INCLUSION
def test_a_line_taken_dirty_is_written_back_once(harness, inclusion):
    """Written by both threads, then stored to past the caches by a third: one dirty copy, one write-back."""
    trace = [Access(0, 640, 8, write=True), Access(1, 640, 8, write=True)]
    trace += [Access(2, 640, 8, write=True, non_temporal=True), Access(0, 640, 8, write=False)]
    _, (row,) = count(harness, [of(inclusion)], trace)
    counts = named(row)
    assert (counts["llc_writebacks"], counts["llc_misses"], counts["coherence_misses"]) == (1, 2, 1)


def test_a_thread_alone_has_no_coherence_misses(harness):
    """Whatever it writes and evicts."""
    rng = random.Random(1)
    trace = [Access(3, 64 * rng.randrange(1, 200), 8, rng.random() < 0.5) for _ in range(3000)]
    _, rows = count(harness, [of(inclusion) for inclusion in INCLUSIONS], trace)
    assert [named(row)["coherence_misses"] for row in rows] == [0, 0, 0]


@EACH_INCLUSION
def test_a_stream_misses_every_other_line_with_a_prefetcher(harness, inclusion):
    """Four pages of 64 lines, each read once: the even lines miss, and have the odd ones fetched."""
    stream = reads(*range(64, 64 + 4 * 64))
    _, rows = count(harness, [of(inclusion), of(inclusion, next_line=True)], stream)
    without, having = map(named, rows)
    assert (without["llc_misses"], without["llc_prefetches"]) == (256, 0)
    assert having["l2_misses"] == having["llc_references"] == having["llc_misses"] == 128
    assert having["llc_prefetches"] == having["llc_prefetch_misses"] == having["useful_prefetches"] == 128


def test_a_prefetch_does_not_leave_its_page(harness):
    """The last line of a page, of each of ten pages: nothing is fetched after it."""
    last = reads(*range(63, 640, 64))
    _, (row,) = count(harness, [of("non-inclusive", next_line=True)], last)
    assert (named(row)["llc_misses"], named(row)["llc_prefetches"]) == (10, 0)


def test_prefetches_that_nothing_uses_are_traffic(harness):
    """Every other line: all miss, and as many again are read from memory in vain."""
    even = reads(*range(64, 640, 2))
    _, (row,) = count(harness, [of("non-inclusive", next_line=True)], even)
    counts = named(row)
    assert counts["llc_misses"] == counts["llc_prefetch_misses"] == 288
    assert counts["useful_prefetches"] == 0
