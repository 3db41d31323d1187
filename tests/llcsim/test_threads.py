"""Threads of the program, each with its own L1d and L2, and the tool's own thread for the model."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from conftest import processor

from perfcounters import simulator

pytestmark = pytest.mark.simulator

COMMON, PROCESSOR = 5, 11  # words, as requests.h has them
LINES_OF_8_MIB = (8 << 20) // 64


def words(text: str) -> list[int]:
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("model_thread", [False, True])
def test_each_thread_has_its_own_l1d(simulate, compile_program, paper, model_thread):
    """Four walks of 16 KiB each stay in four L1d of 32 KiB; one L1d would miss 256 lines a walk."""
    program = compile_program("programs/threads.c", "-O1", "-pthread")
    got = words(simulate([program, 4, 200], [paper], model_thread=model_thread))
    assert got[1] > 198 * 4 * 256  # all walks were recorded
    assert got[COMMON] < 0.1 * 198 * 4 * 256


def test_walks_larger_than_the_l1d_miss_always(simulate, compile_program):
    """The same walks with an L1d of 8 KiB miss every line, so that the test above can fail."""
    small = processor("small", "8K/8", "256K/4", "4M/16")
    got = words(simulate([compile_program("programs/threads.c", "-O1", "-pthread"), 4, 50], [small]))
    assert got[COMMON] >= 0.9 * 48 * 4 * 256


@pytest.mark.parametrize("inclusion", ["non-inclusive", "inclusive", "exclusive"])
def test_the_models_thread_counts_the_same(simulate, compile_program, inclusion):
    """With the model beside the program and in it, every count is the same."""
    model = replace(processor("p", "32K/8", "256K/4", "4M/16"), inclusion=inclusion)
    program = [compile_program("programs/stream.c", "-O1"), "write", 8 << 20]
    options = {"fixed_layout": True, "curve": True}
    beside, within = (simulate(program, [model], model_thread=there, **options) for there in (True, False))
    assert words(beside) == words(within)


@pytest.mark.parametrize("lines, kind, each_turn", [(0, "own", 1), (3, "own", 1), (3, "shared", 1 + 3)])
def test_a_line_that_changes_hands_is_a_coherence_miss(simulate, compile_program, lines, kind, each_turn):
    """
    Two threads, 500 turns each. Whoever gets the turn misses its line once, since the other one wrote it,
    and so each line in which both have a word; not those that are its own. Nothing comes from memory.
    """
    models = [
        replace(processor(inclusion, "32K/8", "256K/4", "4M/16"), inclusion=inclusion)
        for inclusion in ("non-inclusive", "inclusive", "exclusive")
    ]
    program = compile_program("programs/handover.c", "-O1", "-pthread")
    got = words(simulate([program, 500, lines, kind], models))
    for i in range(len(models)):
        _, l2_misses, _, llc_misses, writebacks, _, _, coherence_misses, *_ = got[COMMON + PROCESSOR * i :]
        assert coherence_misses == 2 * 500 * each_turn
        assert coherence_misses <= l2_misses < coherence_misses + 20
        assert (llc_misses, writebacks) == (pytest.approx(0, abs=5), 0)


@pytest.mark.parametrize("model_thread", [False, True])
def test_children_do_not_disturb_their_parent(simulate, compile_program, paper, model_thread):
    """A child that forks and one that executes end well; the parent counts its own 8 MiB."""
    got = words(simulate([compile_program("programs/forks.c", "-O1")], [paper], model_thread=model_thread))
    assert got[COMMON + 3] == pytest.approx(LINES_OF_8_MIB, rel=0.01)


def test_two_runs_with_a_fixed_layout_count_the_same(simulate, paper, monkeypatch):
    """Python sorting words, twice, and no `coverage` with it: instructions and misses within 0.1%."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    code = (
        "from perfcounters import simulator as s; import json\n"
        "words = {str(i * 7919 % 100_003): i for i in range(50_000)}\n"
        "with s.recording():\n"
        "    sorted(words); s.zero(); sorted(words); c = s.read()\n"
        "print(json.dumps([c.instructions, c.caches[0].l1d_misses, c.caches[0].llc_misses, s.options()]))\n"
    )
    runs = [json.loads(simulate([sys.executable, "-c", code], [paper], fixed_layout=True)) for _ in range(2)]
    assert runs[0][:3] == pytest.approx(runs[1][:3], rel=0.001)
    assert runs[0][3]["fixed_layout"]
    assert runs[0][3]["wait_policy"] == dict(simulator.PASSIVE_WAITING)


NETWORK = """
import json, sys
from pathlib import Path
from formfn_profile import backends, patterns
from perfcounters import simulator
for threads in (1, 2, 4):
    session = backends.get(sys.argv[1]).load(Path(sys.argv[2]), threads=threads)
    session.infer()
    with simulator.recording():
        session.infer(); simulator.zero(); session.infer(); counts = simulator.read()
    print(json.dumps([counts.instructions, counts.reads]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "openvino-cpu"])
def test_pools_of_2_and_4_threads_do_the_work_of_one(simulate, paper, tmp_path, backend):
    """A network on 2 and 4 threads reads within a fifth what it reads on 1: waiting is not counted."""
    from formfn_profile import backends, patterns

    spec = patterns.PatternSpec("standard", 3, width=32, resolution=56)
    prepared = backends.get(backend).prepare(patterns.build(spec), patterns.example_input(spec), tmp_path)
    lines = simulate([sys.executable, "-c", NETWORK, backend, prepared], [paper]).splitlines()
    alone, *pools = map(json.loads, lines)
    assert pools == [pytest.approx(alone, rel=0.2)] * 2
