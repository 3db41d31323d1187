"""The simulator on real programs: closed forms, and Callgrind on the same program."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import processor

from perfcounters import simulated, simulator

pytestmark = pytest.mark.simulator

COMMON, PROCESSOR = 5, 11  # words, as requests.h has them
MIB = 1 << 20


def words(text: str) -> list[int]:
    return [int(word) for word in text.split()]


class TestClosedForms:
    @pytest.mark.parametrize("llc", ["4M/16", "6M/12"])
    def test_reading_twice_the_llc_misses_every_line(self, simulate, compile_program, llc):
        """LRU keeps nothing of a cyclic walk over twice its size: N/64 misses a pass, within 0.5%."""
        model = processor("p", "32K/8", "256K/4", llc)
        n = 2 * model.llc.size
        got = words(simulate([compile_program("programs/stream.c", "-O1"), "read", n], [model]))
        assert got[COMMON + 3] == pytest.approx(n / 64, rel=0.005)

    def test_reading_half_the_llc_misses_nothing(self, simulate, compile_program, paper):
        """A walk over half the LLC stays in it: under 10 misses a pass, yet all reach the LLC."""
        n = paper.llc.size // 2
        got = words(simulate([compile_program("programs/stream.c", "-O1"), "read", n], [paper]))
        assert got[COMMON + 3] < 10
        assert got[COMMON + 2] == pytest.approx(n / 64, rel=0.005)

    def test_writing_twice_the_llc_writes_every_line_back(self, simulate, compile_program, paper):
        """In steady state each dirty line reaches memory once a pass: N/64 write-backs, within 0.5%."""
        n = 2 * paper.llc.size
        got = words(simulate([compile_program("programs/stream.c", "-O1"), "write", n], [paper]))
        assert got[COMMON + 4] == pytest.approx(n / 64, rel=0.005)

    def test_the_curve_of_a_cyclic_walk_is_a_step(self, simulate, compile_program, paper):
        """A walk over 2 MiB: LLCs of the paper's sets smaller than that miss each line, larger ones none."""
        n = 2 * MIB
        got = words(simulate([compile_program("programs/stream.c", "-O1"), "read", n], [paper], curve=True))
        curve = got[COMMON + PROCESSOR :]
        assert len(curve) == 64
        for ways, misses in enumerate(curve, start=1):
            if ways * MIB / 4 < 0.9 * n:
                assert misses == pytest.approx(n / 64, rel=0.01)
            elif ways * MIB / 4 > 1.1 * n:
                assert misses < 10
        assert curve[15] == got[COMMON + 3]

    def test_a_prefetcher_takes_half_of_a_streams_misses(self, simulate, compile_program, paper):
        """
        Of each page of 64 lines, 32 miss and 32 are fetched by the prefetcher, so that of N bytes, twice
        the LLC, as many lines come from memory as without it: N/64, within 0.5%.
        """
        n = 2 * paper.llc.size
        prefetching = replace(paper, name="paper:next-line", prefetcher="next-line")
        program = compile_program("programs/stream.c", "-O1")
        got = words(simulate([program, "read", n], [paper, prefetching]))
        plain, having = got[COMMON : COMMON + PROCESSOR], got[COMMON + PROCESSOR :]
        assert plain[3] == pytest.approx(n / 64, rel=0.005)
        assert plain[8:] == [0, 0, 0]
        references, misses, *prefetches = having[2], having[3], *having[8:]
        assert [references, misses, *prefetches] == pytest.approx(5 * [n / 128], rel=0.005)
        counts = simulated.from_words(got, [paper, prefetching])
        assert counts.memory_bytes(counts.caches[1]) == pytest.approx(n, rel=0.01)

    def test_several_caches_in_one_run_count_as_each_alone(self, simulate, compile_program, paper):
        """The counts of a model do not depend on what else is modelled beside it."""
        other = processor("other", "48K/12", "2M/16", "30M/15")
        program = [compile_program("programs/stream.c", "-O1"), "read", 8 * MIB]
        both = words(simulate(program, [other, paper]))
        # The command line lies on the stack, so that a line or two may be shared otherwise.
        assert both[COMMON + PROCESSOR :] == pytest.approx(words(simulate(program, [paper]))[COMMON:], abs=8)
        assert both[COMMON : COMMON + PROCESSOR] == pytest.approx(
            words(simulate(program, [other]))[COMMON:], abs=8
        )


@pytest.fixture(scope="module")
def counted(compile_program, valgrind):
    """What each case counts beyond the empty one, in the order in which the program prints it."""
    model = processor("p", "32K/8", "256K/4", "4M/16")
    argv, environment = simulator.command(
        [str(compile_program("programs/accesses.c", "-O1", "-mcx16"))], [model]
    )
    done = subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    rows = {line.split()[0]: words(" ".join(line.split()[1:])) for line in done.stdout.splitlines()}
    return {name: [a - b for a, b in zip(row, rows["nothing"], strict=True)] for name, row in rows.items()}


class TestAccesses:
    def test_an_access_over_two_lines_misses_twice(self, counted):
        """One read of 8 bytes at offset 60; each of the two lines is a miss."""
        assert counted["straddling"][0] - counted["aligned"][0] == 0
        assert counted["straddling"][2] - counted["aligned"][2] == 1

    @pytest.mark.parametrize("kind, column", [("load", 0), ("store", 1)])
    def test_a_false_guard_is_no_access(self, counted, kind, column):
        """Vmaskmovps with an empty mask touches nothing; with a full one its 8 lanes, in one line."""
        off, on = counted[f"masked-off-{kind}"], counted[f"masked-on-{kind}"]
        assert on[column] - off[column] == 8
        assert on[2] - off[2] == 1

    def test_neighbours_and_repetitions_are_all_counted(self, counted):
        """Accesses that share an entry: 7 reads and 1 write of two lines, beside a call's and a return's."""
        assert counted["neighbours"][:3] == [7 + 1, 1 + 1, 2]

    def test_neighbours_in_descending_order_are_two(self, counted):
        """Two stores of 8 bytes, the second right below the first, on either side of a line's edge."""
        assert counted["descending"][1:3] == [2, 2]

    def test_compare_and_swap_is_a_write(self, counted):
        """`lock cmpxchg16b` misses its line once and counts as a write."""
        assert counted["cmpxchg16b"][1] >= 1
        assert counted["cmpxchg16b"][2] == 1

    def test_a_large_access_touches_all_its_lines(self, counted):
        """Fxsave writes 416 to 512 bytes: 7 or 8 lines."""
        assert counted["fxsave"][2] in (7, 8)


class TestNonTemporal:
    @pytest.mark.parametrize(
        "name, size", [("movnti", 8), ("movntdq", 16), ("movntps", 16), ("vmovntdq", 32), ("vmovntpd", 32)]
    )
    def test_a_store_past_the_caches_is_counted_apart(self, counted, name, size):
        """Each MOVNT form is one write of its bytes and misses nothing (Intel SDM volume 1, 10.4.6.2)."""
        assert counted[name][1:5] == [1, 0, 1, size]

    def test_it_takes_the_line_out_of_the_caches(self, counted):
        """A dirty line stored to is written back, and reading it again misses."""
        assert counted["evicting"] == [1, 2, 2, 1, 8, 1]

    def test_other_stores_are_not(self, counted):
        """An ordinary 16-byte store misses its line."""
        assert counted["movups"][1:5] == [1, 1, 0, 0]


def callgrind(program, folder):
    """Instructions, L1 and LL data misses, data reads and writes by Callgrind; its geometry is checked."""
    out = folder / "callgrind.out"
    subprocess.run(
        ["valgrind", "-q", "--tool=callgrind", "--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64",
         "--LL=4194304,16,64", f"--callgrind-out-file={out}", program],
        env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=True,
    )  # fmt: skip
    text = out.read_text()
    events = re.search(r"^events: (.*)$", text, re.MULTILINE)[1].split()
    totals = dict(zip(events, words(re.search(r"^summary: (.*)$", text, re.MULTILINE)[1]), strict=True))
    assert "D1 cache: 32768 B, 64 B, 8-way associative" in text
    assert "LL cache: 4194304 B, 64 B, 16-way associative" in text
    misses = totals["D1mr"] + totals["D1mw"], totals["DLmr"] + totals["DLmw"]
    return totals["Ir"], *misses, totals["Dr"], totals["Dw"]


class TestAgainstCallgrind:
    def counted(self, simulate, program, model, folder):
        output = folder / "counts.json"
        simulate([program], [model], record_from_start=True, output=output)
        counts = simulator.load_counts(output, [model])
        misses = counts.caches[0].l1d_misses, counts.caches[0].llc_misses
        return counts.instructions, *misses, counts.reads, counts.writes

    def test_a_bare_program_counts_exactly_the_same(self, simulate, compile_program, without_l2, tmp_path):
        """No libc, aligned words, code that fits in L1: every count equals Callgrind's."""
        program = compile_program("programs/bare.c", "-O1", "-static", "-nostdlib", "-fno-stack-protector")
        ours = self.counted(simulate, program, without_l2, tmp_path)
        assert ours == callgrind(program, tmp_path)
        assert ours[2] > 100_000  # the trace does miss

    def test_a_small_real_program_counts_within_a_percent(
        self, simulate, compile_program, without_l2, tmp_path
    ):
        """Instructions within 0.1% of Callgrind's, data misses of L1 and LLC within 1%."""
        program = compile_program("programs/real.c", "-O1")
        ours = self.counted(simulate, program, without_l2, tmp_path)
        theirs = callgrind(program, tmp_path)
        assert ours[0] == pytest.approx(theirs[0], rel=0.001)
        assert ours[1:3] == pytest.approx(theirs[1:3], rel=0.01)


def has_fma() -> bool:
    info = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return bool(re.search(r"^flags.*\bfma\b", info, re.MULTILINE))


@pytest.mark.skipif(not has_fma(), reason="this CPU has no FMA, so neither has Valgrind's")
class TestFma:
    def forms(self, simulate, compile_program, paper, **options):
        program = compile_program("programs/fma.c", "-O1", "-mavx2", "-mfma", "-lm")
        rows = [line.split() for line in simulate([program], [paper], **options).splitlines()]
        assert len(rows) == 48 + 72 + 3  # packed single; exact ones; alternating and a chain
        return {name: (int(wrong), float(worst)) for name, wrong, _, worst in rows}

    @pytest.mark.parametrize("record", [False, True])
    def test_every_form_is_right_within_its_rounding(self, simulate, compile_program, paper, record):
        """Packed single: half an ulp of product plus half an ulp of result; all others as fma()."""
        forms = self.forms(simulate, compile_program, paper, record_from_start=record)
        assert [name for name, (wrong, _) in forms.items() if wrong] == []
        packed = [worst for name, (_, worst) in forms.items() if "ps" in name]
        assert max(packed) > 0.5  # it was rewritten: two roundings

    def test_exact_fma_rounds_once(self, simulate, compile_program, paper):
        """--exact-fma leaves Valgrind's own emulation: half an ulp of the result alone."""
        forms = self.forms(simulate, compile_program, paper, exact_fma=True)
        assert all(wrong == 0 for wrong, _ in forms.values())


class TestInside:
    def test_not_active_outside(self):
        """A program that runs natively says so, and reading is refused with the remedy."""
        assert not simulator.active()
        with pytest.raises(simulator.SimulatorStateError, match=r"perfcounters\.simulator\.command"):
            simulator.read()

    def test_python_reads_its_own_counts(self, simulate, paper):
        """The Python side: names, geometry and a count that a closed form gives."""
        import sys

        code = (
            "from perfcounters import simulator as s\n"
            "data = bytearray(b'1') * (8 << 20)\n"
            "assert s.active()\n"
            "with s.recording():\n"
            "    bytes(data); s.zero(); copy = bytes(data); counts = s.read()\n"
            "one = counts.caches[0]\n"
            "print(one.processor, s.processors()[0].llc.size, one.llc_misses, counts.non_temporal_bytes)\n"
        )
        name, *numbers = simulate([sys.executable, "-c", code], [paper]).split()
        size, misses, past_caches = map(int, numbers)
        assert (name, size) == ("paper", 4 * MIB)
        # 8 MiB read and 8 MiB of fresh memory written: each line is missed, or (the C library chooses
        # by the size of the cache) stored to past the caches.
        assert misses + past_caches / 64 == pytest.approx(2 * 8 * MIB / 64, rel=0.02)
