"""A whole command under the simulator, and counters of a block inside of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from test_simulator import callgrind

from perfcounters import Counters
from perfcounters.errors import EventUnavailableError, SimulatorStateError

pytestmark = pytest.mark.simulator

LINES_OF_8_MIB = (8 << 20) // 64


def command(*argv: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "perfcounters", "simulate", *argv],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def test_a_commands_instructions_are_callgrinds(valgrind, compile_program, tmp_path):
    """As JSON: the bare program's instructions equal Callgrind's, and the paper's caches are named."""
    program = compile_program("programs/bare.c", "-O1", "-static", "-nostdlib", "-fno-stack-protector")
    output = tmp_path / "counts.json"
    command("--cache", "paper", "--curve", "-j", "-o", str(output), "--", str(program))
    answer = json.loads(output.read_text())
    assert answer["counts"]["instructions"] == callgrind(program, tmp_path)[0]
    (cache,) = answer["counts"]["caches"]
    assert cache["processor"] == answer["processors"][0]["name"] == "paper"
    assert [p["misses"] for p in cache["curve"] if p["ways"] == 16] == [cache["llc_misses"]]


def test_the_table_and_the_commands_own_output_and_status(valgrind):
    """What the command prints goes where it went; the table goes to stderr; exit status 3 is handed on."""
    done = command(
        "--cache", "paper,zen3:next-line", "--",
        sys.executable, "-c", "print('hello'); raise SystemExit(3)", status=3,
    )  # fmt: skip
    assert done.stdout == "hello\n"
    for words in ("LLC-misses", "memory-bytes", "Simulated caches: paper", "exclusive LLC 32 MiB/16-way"):
        assert words in done.stderr
    assert done.stderr.count("LLC-prefetch-misses") == 1
    assert "with a next-line prefetcher" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--cache", "paper", "--", "no-such-command"], "no-such-command left no counts"),
        (["--cache", "papr", "--", "true"], "did you mean paper"),
        (["--cache", "6M/12/plru", "--", "true"], "power of two"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(valgrind, argv, said):
    """A wrong command or cache: exit status 1 and no traceback."""
    done = command(*argv, status=1)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


BLOCK = """
from perfcounters import Counters, simulator
data = bytearray(b"1") * (8 << 20)
counters = Counters("LLC-misses", "non-temporal-stores", "memory-bytes", "instructions", source="simulated")
bytes(data)
with counters:
    copy = bytes(data)
one = counters.reading
with counters:
    pass
print(*(one[event].value for event in counters.events), counters.reading["instructions"].value, one.mpki)
"""


@pytest.mark.parametrize("whole", [False, True])
def test_counters_count_their_block_alone(valgrind, simulate, paper, whole):
    """A copy of 8 MiB reads and writes each line once, in a program recorded from its start or not."""
    *counts, mpki = simulate([sys.executable, "-c", BLOCK], [paper], record_from_start=whole).split()
    misses, _, traffic, instructions, empty = map(int, counts)
    past_caches = traffic - 64 * misses
    assert misses + past_caches / 64 == pytest.approx(2 * LINES_OF_8_MIB, rel=0.02)
    assert empty < 20_000 < instructions
    assert float(mpki) == pytest.approx(1000 * misses / instructions)


def test_outside_the_simulator_they_say_so():
    """Natively there is nothing to read, and an event that the simulator lacks is named."""
    with pytest.raises(SimulatorStateError, match=r"perfcounters\.simulator\.command"), \
            Counters("LLC-misses", source="simulated"):  # fmt: skip
        pass
    with pytest.raises(EventUnavailableError, match="does not count cycles; it counts instructions"):
        Counters("cycles", source="simulated").open()
    with pytest.raises(ValueError, match="hardware or simulated"):
        Counters("cycles", source="guessed")  # type: ignore[arg-type]


STEADY = """
import json
from formfn_profile.measuring import counting
data = bytearray(2**16)
counts, _ = counting.simulated(lambda: data.count(1), 4)
print(json.dumps({count.event: count.samples for count in counts}))
"""


def test_the_first_counted_call_is_as_steady_as_the_others(valgrind):
    """A walk through 64 KiB, which the LLC holds; a first reading of counts misses some 450 lines itself."""
    done = command("--cache", "paper", "--", sys.executable, "-c", STEADY)
    misses = json.loads(done.stdout)["LLC-misses"]
    assert max(misses) < 100
