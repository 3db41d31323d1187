"""Flags: silent on independent samples, found where planted, with the figures that were planted."""

from __future__ import annotations

import mmap
import random

import pytest

from formfn_profile.dip import dip
from formfn_profile.flags import drift, flags, modes, two_groups, wide
from formfn_profile.measuring.conditions import Watch
from formfn_profile.notes import notes


def seeded(seed, n, apart):
    source = random.Random(seed)
    return [source.gauss(0, 1) + (apart if i % 2 else 0) for i in range(n)]


@pytest.mark.parametrize(
    "samples, expected",
    [
        (seeded(1, 10, 0), 0.10841815879403707),
        (seeded(2, 37, 0), 0.04495355865035056),
        (seeded(3, 100, 5), 0.07017158452670692),
        (seeded(4, 251, 3), 0.03190855349594761),
        ([1, 1, 1, 2, 2, 3, 5, 5, 5, 5, 6], 0.1590909090909091),
        ([0, 0, 0, 0, 1, 1, 1, 1], 0.25),
    ],
)
def test_the_dip_is_that_of_the_diptest_package(samples, expected):
    """`diptest.dipstat` 0.12; the last is a closed form: two atoms of a half are 1/4 from any one mode."""
    assert dip(samples) == pytest.approx(expected, rel=1e-9)


DISTRIBUTIONS = {
    "normal": lambda source: source.gauss(1, 0.02),
    "uniform": lambda source: source.uniform(0.9, 1.1),
    "skewed": lambda source: 1 + source.expovariate(10),
    "log-normal": lambda source: source.lognormvariate(0, 0.3),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISTRIBUTIONS)
@pytest.mark.parametrize("rule", [drift, modes])
@pytest.mark.parametrize("n", [10, 50, 200])
def test_independent_samples_are_flagged_in_2_of_100_records_at_most(kind, rule, n):
    """1,000 seeded records of each size; drift is built for 1 in 100, the dip for fewer."""
    source = random.Random(7)
    records = ([DISTRIBUTIONS[kind](source) for _ in range(n)] for _ in range(1000 if n < 200 else 300))
    found = [bool(rule(samples)) for samples in records]
    assert sum(found) <= 0.02 * len(found)


def noisy(values):
    source = random.Random(11)
    return [value * source.gauss(1, 0.01) for value in values]


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("change", [0.1, -0.1])
def test_a_planted_drift_is_found_with_its_size(n, change):
    """Linear from 10 ms by 10%: the outer thirds' middles are 1/6 and 5/6 of the way, to 1% of noise."""
    flag = drift(noisy([0.010 * (1 + change * i / n) for i in range(n)]))
    assert flag.name == "drift"
    first, last = (float(word) for word in flag.text.replace(" ms", "").split()[3:6:2])
    assert first == pytest.approx(10 * (1 + change / 6), rel=0.01)
    assert last == pytest.approx(10 * (1 + change * 5 / 6), rel=0.01)


def test_a_step_is_a_drift_and_a_single_slow_call_is_not():
    assert drift(noisy([1.0] * 30 + [1.1] * 30))
    assert not drift([*noisy([1.0] * 59), 3.0])


def test_a_drift_of_one_percent_is_let_pass():
    """Certain with so many calls, and too small to matter: the limit is 2%."""
    assert not drift([1 + 0.01 * i / 5000 for i in range(5000)])


@pytest.mark.parametrize("slow", [15, 50, 85])
def test_planted_modes_are_found_with_their_shares(slow):
    """Of 100 calls `slow` take 14 ms, the others 10 ms, in any order."""
    samples = noisy([0.014] * slow + [0.010] * (100 - slow))
    random.Random(3).shuffle(samples)
    fast_group, slow_group = two_groups(samples)
    assert (len(fast_group), len(slow_group)) == (100 - slow, slow)
    flag = modes(samples)
    assert flag.name == "two modes"
    assert f"{100 - slow}% of calls take about 10" in flag.text
    assert f"{slow}% about 14" in flag.text


def test_few_slow_calls_are_no_second_mode():
    """5 of 100: under the 10% that make a group."""
    assert not modes(noisy([0.014] * 5 + [0.010] * 95))


def test_modes_less_than_5_percent_apart_are_let_pass():
    assert modes([1.00] * 50 + [1.06] * 50)
    assert not modes([1.00] * 50 + [1.04] * 50)


def test_a_wide_interval():
    """Of 11 samples the interval is the 2nd to the 10th (98.8%; Binomial(11, 1/2))."""
    flag = wide([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0])
    assert "1100 ms to 1900 ms, is 53%" in flag.text
    assert not wide([1.0] * 5 + [1.01] * 6)
    assert not wide([1.0, 9.0])


MACHINE = {"cpus": 4, "affinity": 2, "cpu_quota": None}


@pytest.mark.parametrize(
    "fields, name, said",
    [
        (
            {"conditions": {"frequency_before_mhz": 3000.0, "frequency_after_mhz": 2400.0}},
            "clock",
            "from 3000 to 2400 MHz",
        ),
        ({"conditions": {"throttled": 3}}, "throttled", "3 times"),
        ({"conditions": {"others_cpus": 0.5}}, "load", "0.50 of 4 CPUs"),
        (
            {"conditions": {"kernel_share": 0.69, "page_faults": 20 * 150_000}},
            "kernel time",
            "69% of the CPU time was the kernel's, with 150,000 page faults a call",
        ),
        ({"threads": 3}, "threads", "3 threads, but its affinity mask allows 2 CPUs"),
        (
            {"threads": 2, "machine": MACHINE | {"cpu_quota": 1.5}},
            "threads",
            "2 threads, but the cgroup's quota allows 1.5 CPUs",
        ),
        ({"settled": False, "warmup_s": (1.0, 2.0)}, "not steady", "2 warm-up calls in 3 s"),
    ],
)  # fmt: skip
def test_what_the_machine_did_is_flagged(make, fields, name, said):
    """A record that is well but for one thing has one flag."""
    (flag,) = flags(make(**{"latency_s": (1.0,) * 20, "machine": MACHINE} | fields))
    assert flag.name == name
    assert said in flag.text


@pytest.mark.parametrize(
    "fields",
    [
        {"conditions": {"frequency_before_mhz": 3000.0, "frequency_after_mhz": 2900.0}},
        {"conditions": {"frequency_before_mhz": None, "frequency_after_mhz": None}},
        {"conditions": {"throttled": 0, "others_cpus": 0.4}},
        {"conditions": {"throttled": None}, "machine": {}},
        {"conditions": {"kernel_share": 0.19, "page_faults": 10**9}},
        {"threads": 2},
        {"threads": 1, "machine": MACHINE | {"cpu_quota": 0.5}},
        {"settled": True},
        {"status": "failed", "settled": False},
        {"latency_s": (), "settled": False},
    ],
)
def test_what_is_well_or_not_known_is_no_flag(make, fields):
    assert flags(make(**{"latency_s": (1.0,) * 20, "machine": MACHINE} | fields)) == ()


def test_a_watch_counts_the_pages_that_a_program_first_touches():
    """One fault a page of 4 KiB: a closed form. The memory is asked for in small pages."""
    pages = 2000
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        watch = Watch()
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        seen = watch.conditions()
    assert pages <= seen.page_faults <= pages + 200
    assert 0 <= seen.kernel_share <= 1


def test_the_notes_name_the_points_and_the_remedy(make):
    records = [
        make(depth=depth, latency_s=(1.0,) * 20, conditions={"throttled": 3}) for depth in (1, 2, 3, 4, 5)
    ]
    (line,) = [line for line in notes(records, "") if line.startswith("Doubtful")]
    assert line.startswith("Doubtful (throttled): standard depth 1 on torch: the cgroup's CPU quota stopped")
    assert "and 2 more" in line
    assert line.endswith("Raise the quota, or use fewer threads.")
