"""Against a real PMU: closed forms and `perf stat`; skipped, with the reason, where there is none to open."""

import json
import re
import shutil
import subprocess
import sys
import threading

import pytest

from perfcounters import Counters, countable, known_work, trust
from perfcounters.processor_id import identify

pytestmark = pytest.mark.hardware
N = 10_000_000


@pytest.fixture(autouse=True, scope="module")
def _pmu():
    refused = countable(["instructions:u", "cycles:u"])["instructions:u"]
    if refused is not None:
        pytest.skip(str(refused))


@pytest.fixture
def branches():
    refused = countable(["branches:u"])["branches:u"]
    if refused is not None:
        pytest.skip(str(refused))


def test_a_loop_of_2n_instructions():
    """The loop is 2 instructions a round; what two reads in C add to it is under 200."""
    with Counters("instructions:u", scope="thread") as counters:
        values = [
            counters.call(known_work.instructions_address(), n)["instructions:u"].value for n in (N, 2 * N)
        ]
    assert values[1] - values[0] == pytest.approx(2 * N, abs=100)
    assert 0 <= values[0] - 2 * N < 200


def test_a_loop_of_n_branches(branches):
    """One of the two is a branch, taken n - 1 times and counted n times."""
    with Counters("branches:u", scope="thread") as counters:
        count = counters.call(known_work.instructions_address(), N)["branches:u"]
    assert count.value == pytest.approx(N, rel=0.0001)


def test_threads_that_exist_already():
    """Two threads that existed before execute 2n instructions each."""
    begin, threads = threading.Event(), []
    for _ in range(2):
        threads.append(
            threading.Thread(target=lambda: (begin.wait(), known_work.instructions(10 * N)), daemon=True)
        )
        threads[-1].start()
    with Counters("instructions:u") as counters:
        begin.set()
        for thread in threads:
            thread.join()
    assert counters.reading["instructions:u"].value == pytest.approx(40 * N, rel=0.001)


def test_many_events_scaled_and_in_passes():
    """More events than counters, all of them the same one: estimates within 5%, passes within 0.1%."""
    names = [f"r{'0' * i}c0:u" for i in range(12)]
    if identify().vendor not in ("GenuineIntel", "AuthenticAMD"):
        pytest.skip("0xc0 is retired instructions on Intel and AMD alone")
    with Counters(*names, scope="thread", multiplex="scale") as counters:
        known_work.instructions(50 * N)
    assert [count.value for count in counters.reading] == [pytest.approx(100 * N, rel=0.05)] * 12
    passes = Counters(*names, scope="thread", multiplex="passes")
    reading = passes.measure(lambda: known_work.instructions(10 * N))
    assert [count.value for count in reading] == [pytest.approx(20 * N, rel=0.001)] * 12


@pytest.mark.skipif(shutil.which("perf") is None, reason="there is no perf")
def test_the_same_as_perf_stat():
    """`perf stat` of the same command: user instructions within 1%, of which start-up varies."""
    command = [
        sys.executable,
        "-c",
        f"from perfcounters import known_work; known_work.instructions({50 * N})",
    ]
    perf = subprocess.run(
        ["perf", "stat", "-x,", "-e", "instructions:u", *command], capture_output=True, text=True, check=True
    )
    theirs = int(re.match(r"\d+", perf.stderr)[0])
    ours = subprocess.run(
        [sys.executable, "-m", "perfcounters", "stat", "-j", "-e", "instructions:u", "--", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    counts = json.loads(ours.stderr)["runs"][0]["counts"]
    assert counts["instructions:u"]["value"] == pytest.approx(theirs, rel=0.01)


def test_known_misses_are_judged():
    """Whatever the verdict, it was counted: a ratio is there, and the reason names the encoding."""
    refused = countable(["LLC-misses"])["LLC-misses"]
    if refused is not None:
        pytest.skip(str(refused))
    judged = trust.llc()
    assert judged.ratio is not None
    assert judged.trusted == (abs(judged.ratio - 1) <= trust.TOLERANCE and "not 1 and 0" not in judged.reason)
