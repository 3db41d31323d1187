"""Records compared: verdicts, what is not comparable and why, the gate, and simulated counts."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys

import pytest

from formfn_profile.comparable import interleaved
from formfn_profile.compare import compare
from formfn_profile.compare_command import main
from formfn_profile.results import Count
from formfn_profile.store import Store

PROCESSES = (1.00, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01)


def times(factor):
    return tuple(factor * value for value in PROCESSES)


def only(a, b, **options):
    (one,) = compare(a, b, **options)
    return one


@pytest.mark.parametrize(
    "b, verdict",
    [
        (times(1.2), "slower"),
        (times(0.8), "faster"),
        (times(1.001), "no change"),
        (tuple(1 + 0.2 * (value - 1) / 0.02 for value in PROCESSES), "inconclusive"),
    ],
)
def test_the_verdict_is_what_the_interval_says(sides, b, verdict):
    one = only(*sides(PROCESSES, b))
    low, high = one.interval
    assert one.verdict == verdict
    assert {
        "slower": low > 1,
        "faster": high < 1,
        "no change": 1 / 1.05 <= low <= 1 <= high <= 1.05,
        "inconclusive": low <= 1 <= high and (low < 1 / 1.05 or high > 1.05),
    }[verdict]
    assert one.smallest > 0


def test_a_process_is_one_number_however_many_calls_it_made(sides):
    """The median of each process: 3 calls or 300 with the same median give the same comparison."""
    a, b = sides(PROCESSES, times(1.2))
    more = [type(record)(**vars(record) | {"latency_s": record.latency_s * 100}) for record in a]
    assert only(more, b).interval == only(a, b).interval
    assert only(more, b).processes == (7, 7)


def test_of_two_measurements_by_one_process_the_later_counts(make, sides):
    """A run that repeats each point in fresh processes numbers them."""
    a, b = sides(PROCESSES, PROCESSES)
    again = make(run_id=b[0].run_id, latency_s=(50.0,), at=99)
    assert only(a, [*b, again]).processes == (7, 7)
    other = make(run_id=b[0].run_id, process=1, latency_s=(50.0,), at=99)
    assert only(a, [*b, other]).processes == (7, 8)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"machine": {"cpu": "Other CPU", "cpus": 4}}, "other machine: cpu Some CPU in A, Other CPU in B"),
        ({"machine": {"cpu": "Some CPU", "cpus": 8}}, "other machine: cpus 4 in A, 8 in B"),
        ({"isa": "avx512"}, "other ISA: avx2 in A, avx512 in B"),
        ({"precision": "bf16"}, "B has this point only with bf16, not f32"),
        ({"threads": 2}, "only with threads 2, not 1"),
        ({"isa_cap": "avx2"}, "only with isa cap avx2, not native"),
        ({"inputs": ("1x3x64x64:f32",)}, "only with 1x3x64x64:f32, not none"),
        ({"digest": "0123456789abcdef"}, "only with digest 0123456789ab, not none"),
        ({"depth": 20}, "B has no such point"),
        ({"status": "failed", "reason": "killed by SIGKILL"}, "failed in B: killed by SIGKILL"),
        ({"status": "skipped", "reason": "no GPU here"}, "skipped in B: no GPU here"),
    ],
)
def test_what_is_not_comparable_says_why(make, sides, change, said):
    a, b = sides(PROCESSES, times(1.5))
    b = [type(record)(**vars(record) | change) for record in b]
    first = compare(a, b)[0]
    assert first.verdict == "not comparable"
    assert said in first.why
    assert first.interval is None


def test_another_layout_that_the_backend_chose_is_compared_and_noted(sides):
    """OpenVINO chose NHWC for a network and nChw8c after a layer was added to it."""
    a, b = sides(PROCESSES, times(1.5), memory_format="NHWC")
    b = [type(record)(**vars(record) | {"memory_format": "nChw8c"}) for record in b]
    one = only(a, b)
    assert one.verdict == "slower"
    assert "memory format: NHWC in A, nChw8c in B" in one.notes


def test_too_few_processes(sides):
    one = only(*sides(PROCESSES[:4], times(1.5)))
    assert one.verdict == "not comparable"
    assert "too few processes: 4 and 7" in one.why
    assert "5 on each side" in one.why


def test_sides_that_ran_one_after_the_other(make):
    """A whole, then B whole: the machine may have changed between, whatever the ratio."""
    a = [make(latency_s=(value,), at=i) for i, value in enumerate(PROCESSES)]
    b = [make(latency_s=(1.5 * value,), at=100 + i) for i, value in enumerate(PROCESSES)]
    one = only(a, b)
    assert one.verdict == "not comparable"
    assert "not interleaved" in one.why
    assert one.ratio == pytest.approx(1.5)


@pytest.mark.parametrize(
    "order, turns",
    [
        ("ABABABABAB", True),
        ("ABBAABBAAB", True),
        ("AAABBBAABB", True),
        ("AAAAABBBBB", False),
        ("AABBBBBAAA", False),
    ],
)
def test_taking_turns(order, turns):
    """Half as many changes of side as processes a side: 5 a side need 3."""
    clock = [dt.datetime(2026, 1, 1, 0, i, tzinfo=dt.timezone.utc) for i in range(len(order))]
    a, b = ([clock[i] for i, side in enumerate(order) if side == name] for name in "AB")
    assert interleaved(a, b) is turns


def test_versions_and_lost_processes_are_noted(make, sides):
    a, b = sides(PROCESSES, PROCESSES, settled=True)
    b = [type(record)(**vars(record) | {"versions": {"torch": "2.14.0"}}) for record in b]
    b.append(make(status="failed", reason="out of memory", at=50))
    assert only(a, b).notes == (
        "1 of 8 processes failed in B: out of memory",
        "torch: 2.13.0 in A, 2.14.0 in B",
    )


def test_doubtful_processes_are_noted(sides):
    a, b = sides(PROCESSES, PROCESSES)
    doubtful = [type(record)(**vars(record) | {"settled": False}) for record in b[:3]]
    assert only(a, [*doubtful, *b[3:]]).notes == ("not steady: 0 of 7 in A, 3 of 7 in B",)


def test_a_network_that_is_no_pattern(sides):
    """No depth, width or resolution."""
    one = only(*sides(PROCESSES, times(1.2), network="resnet50", depth=None, width=None, resolution=None))
    assert one.verdict == "slower"
    assert "depth" not in one.point


def test_end_to_end_is_compared_beside_latency(sides):
    """Only B's copying got slower: the inference itself has no change."""
    a, b = sides(PROCESSES, PROCESSES)
    a, b = (
        [type(r)(**vars(r) | {"end_to_end_s": (factor * r.latency_s[1],)}) for r in side]
        for side, factor in ((a, 1.1), (b, 1.5))
    )
    found = compare(a, b)
    assert [(one.quantity, one.verdict) for one in found] == [
        ("latency", "no change"),
        ("end to end", "slower"),
    ]
    assert found[1].ratio == pytest.approx(1.5 / 1.1)


def test_counts_of_the_hardware_are_compared_over_processes(make):
    """They scatter as times do: 2% more instructions in each of seven processes that differ by 0.1%."""

    def side(instructions, offset):
        return [
            make(
                latency_s=(1.0,),
                at=2 * i + offset,
                counts=(
                    Count(event="instructions", samples=(instructions + i, None), source="hardware"),
                    Count(event="LLC-misses", samples=(None,), source="hardware", reason="no such event"),
                ),
            )
            for i in range(7)
        ]

    latency, instructions = compare(side(10_000, 0), side(10_200, 1))
    assert latency.verdict == "no change"
    assert (instructions.quantity, instructions.verdict, instructions.cache) == ("instructions", "more", None)
    assert instructions.interval[0] < 1.02 < instructions.interval[1]


def counted(make, instructions, misses, **fields):
    """A simulated record whose weights and activations are 1,000 lines of 64 bytes."""
    counts = (
        Count(event="instructions", samples=(instructions,), source="simulated"),
        Count(event="LLC-misses", samples=(misses,), source="simulated", cache="paper"),
    )
    caches = ({"name": "paper", "llc_bytes": 4 << 20},)
    asked = {"parameter_bytes": 32_000, "activation_bytes": 32_000, "counts": counts, "caches": caches}
    return make(launcher="llcsim", isa_cap=None, **asked | fields)


@pytest.mark.parametrize(
    "before, after, verdicts",
    [
        ((1000, 2000), (1000, 2000), ["no change", "no change"]),
        ((1000, 2000), (1004, 2090), ["no change", "no change"]),
        ((1000, 2000), (1006, 2110), ["more", "more"]),
        ((1006, 2110), (1000, 2000), ["fewer", "fewer"]),
        ((1000, 2), (1000, 9), ["no change", "no change"]),
        ((1000, 0), (1000, 0), ["no change", "no change"]),
        ((1000, 0), (1000, 900), ["no change", "more"]),
        ((1000, 20), (1000, 30), ["no change", "no change"]),
        ((1000, 20), (1000, 31), ["no change", "more"]),
    ],
)
def test_simulated_counts_need_one_run(make, before, after, verdicts):
    """Beyond 0.5% of instructions and 5% of misses; 10 misses (1% of 1,000 lines) are chance."""
    found = compare([counted(make, *before)], [counted(make, *after)])
    assert [one.verdict for one in found] == verdicts
    assert [(one.quantity, one.cache) for one in found] == [("instructions", None), ("LLC-misses", "paper")]


def test_counts_in_other_caches_are_not_comparable(make):
    other = counted(make, 1000, 2000, caches=({"name": "paper", "llc_bytes": 6 << 20},))
    _, misses = compare([counted(make, 1000, 2000)], [other])
    assert misses.verdict == "not comparable"
    assert "other caches stand for paper" in misses.why


def test_counts_with_other_settings_of_the_simulator_are_not_comparable(make):
    """What CPUID tells the program changes how libraries block their loops."""
    a, b = (counted(make, 1000, 2000, simulation={"cpuid": told}) for told in ("paper", "valgrind"))
    (one,) = compare([a], [b])
    assert one.verdict == "not comparable"
    assert "other simulation: {'cpuid': 'paper'} in A, {'cpuid': 'valgrind'} in B" in one.why


def test_each_cache_is_found_in_whichever_record_has_it(make):
    """Two runs a side, each with one cache: every cache is compared with its own twin."""
    other = {"caches": ({"name": "host", "llc_bytes": 32 << 20},)}
    counts = (Count(event="LLC-misses", samples=(500,), source="simulated", cache="host"),)
    a, b = ([counted(make, 1000, 2000), counted(make, 1000, 0, counts=counts, **other)] for _ in "ab")
    found = {(one.quantity, one.cache): one for one in compare(a, b)}
    assert {one.verdict for one in found.values()} == {"no change"}
    assert found["LLC-misses", "paper"].a == 2000
    assert found["LLC-misses", "host"].a == 500


def write(path, records):
    with Store(path) as store:
        for record in records:
            store.append(record)
    return str(path)


@pytest.fixture
def run(tmp_path, capsys):
    """Return a runner of the command on two lists of records: status, stdout, stderr."""

    def run(a, b, *options):
        paths = [write(tmp_path / f"{name}.jsonl", records) for name, records in (("a", a), ("b", b))]
        return main([*paths, *options]), *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "factor, limit, status", [(1.2, "5%", 1), (1.2, "30%", 0), (1.0, "5%", 0), (0.8, "5%", 0)]
)
def test_the_gate(run, sides, factor, limit, status):
    assert run(*sides(PROCESSES, times(factor)), "--fail-over", limit)[0] == status


def test_the_gate_over_100_pairs(sides, scattered):
    """
    Made-up processes that scatter by 3%, 10 a side (the real ones: benchmarks/compare_power.py): at most
    one A/A pair gets a verdict of slower or faster, and of the pairs whose B is 10% slower 95 fail 5%.
    """
    same = [only(*sides(scattered(10, 0.03), scattered(10, 0.03))) for _ in range(100)]
    slow = [only(*sides(scattered(10, 0.03), scattered(10, 0.03, 1.1))) for _ in range(100)]
    assert sum(one.verdict in ("slower", "faster") for one in same) <= 1
    assert sum(one.regressed(0.05) for one in slow) >= 95


def test_without_the_gate_a_slow_down_is_only_told(run, sides):
    status, printed, _ = run(*sides(PROCESSES, times(1.2)))
    assert status == 0
    assert "slower" in printed
    assert "1.200" in printed


def test_the_gate_holds_for_simulated_counts(run, make):
    records = [counted(make, 1000, 2000)], [counted(make, 1000, 2300)]
    assert run(*records, "--fail-over", "10%")[0] == 1
    assert run(*records, "--fail-over", "20%")[0] == 0


def test_what_fails_in_b_alone_fails_the_gate(run, sides, make):
    a, b = sides(PROCESSES, PROCESSES)
    worse = [make(depth=20, latency_s=(1.0,)), make(depth=20, status="failed", reason="killed by SIGKILL")]
    assert run([*a, worse[0]], [*b, worse[1]], "--fail-over", "5%")[0] == 1
    assert run([*a, worse[1]], [*b, worse[0]], "--fail-over", "5%")[0] == 0


def test_a_gate_that_compared_nothing_is_shut(run, sides):
    """Two processes a side tell nothing, and that is no pass."""
    status, _, said = run(*sides(PROCESSES[:2], PROCESSES[:2]), "--fail-over", "5%")
    assert status == 1
    assert "Nothing could be compared" in said


def test_json_has_the_figures(run, sides):
    status, printed, _ = run(*sides(PROCESSES, times(1.2)), "--json")
    (one,) = json.loads(printed)
    assert status == 0
    assert one["verdict"] == "slower"
    assert one["ratio"] == pytest.approx(1.2)
    assert one["processes"] == [7, 7]
    assert one["interval"][0] < 1.2 < one["interval"][1]


def test_the_smallest_effect_is_printed(run, sides):
    a, b = sides(PROCESSES, PROCESSES)
    _, printed, _ = run(a, b)
    assert f"{only(a, b).smallest:.1%}" in printed


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["none.jsonl", "none.jsonl"], "none.jsonl"),
        (["broken.jsonl", "when.jsonl"], "broken.jsonl, line 1"),
        (["broken.jsonl", "broken.jsonl"], "same file"),
        (["broken.jsonl"], "B.jsonl"),
        (["when.jsonl", "then.jsonl"], "'yesterday'"),
        (["broken.jsonl", "broken.jsonl", "--fail-over", "5"], "5%"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, said, make, tmp_path):
    """Non-zero exit, one line, no traceback; through the package's own command line."""
    for name in ("when.jsonl", "then.jsonl"):
        records = [make(latency_s=(1.0,)) for _ in range(5)]
        write(tmp_path / name, [type(record)(**vars(record) | {"time": "yesterday"}) for record in records])
    (tmp_path / "broken.jsonl").write_text("{}\n")
    command = [sys.executable, "-m", "formfn_profile", "compare", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode != 0
    assert said in line
