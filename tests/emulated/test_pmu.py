"""The hardware path against Linux's own PMU driver, in an emulated machine whose counts are exact."""

import machine
import pytest

pytestmark = [pytest.mark.emulated, pytest.mark.slow]


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    """What guest.py found, by the name of the check."""
    try:
        results, log = machine.run(tmp_path_factory.mktemp("machine"))
    except machine.NotHereError as reason:
        pytest.skip(str(reason))
    assert "GUEST EXIT 0" in log, log[-3000:]
    for name, result in results.items():
        assert "traceback" not in result, f"{name}: {result['traceback']}"
    return results


def test_a_loop_of_2n_instructions(guest):
    """2n plus a constant under 60, past 2^32 too; with -icount shift=1 cycles are twice the instructions."""
    constants = {instructions - 2 * n for n, instructions, _ in guest["loop"]["counts"]}
    assert len(constants) == 1
    assert 0 <= constants.pop() < 60
    for _, instructions, cycles in guest["loop"]["counts"]:
        assert cycles == pytest.approx(2 * instructions, abs=120)


def test_reading_in_user_space(guest):
    """
    Registers and kernel count the same loop: 2n plus a constant, past the registers' 32 bits.

    kernel.perf_user_access decides (Documentation/arch/arm64/perf.rst). Without a system call in the
    window next to nothing of the kernel is in it.
    """
    allowed, refused = guest["in_user_space"]["1"], guest["in_user_space"]["0"]
    assert allowed["mapped"]
    assert not refused["mapped"]
    for found, most in ((allowed, 200), (refused, 60)):
        constants = {instructions - 2 * n for n, instructions, _ in found["counts"]}
        assert len(constants) == 1
        assert 0 <= constants.pop() < most
        for _, instructions, cycles in found["counts"]:
            assert cycles == pytest.approx(2 * instructions, abs=120)
    assert 0 <= allowed["with_kernel"] < 200 < refused["with_kernel"]
    # One instruction takes 2 ns (-icount shift=1), and the clock by which the kernel lets run is the same.
    count = allowed["reading"]["instructions:u"]
    assert count["time_enabled_ns"] == count["time_running_ns"]
    assert count["time_running_ns"] == pytest.approx(2 * count["value"], rel=0.01)


def test_a_window_may_begin_in_user_space_and_end_in_the_kernel(guest):
    count = guest["either_way"]["reading"]["instructions:u"]
    assert count["value"] == pytest.approx(guest["either_way"]["expected"], rel=0.001)
    assert count["time_running_ns"] == pytest.approx(2 * count["value"], rel=0.01)


def test_another_thread_asks_the_kernel(guest):
    """10 million rounds of the thread that is counted, none of the 10 million of the one that reads."""
    count = guest["in_another_thread"]["reading"]["instructions:u"]
    assert count["value"] == pytest.approx(guest["in_another_thread"]["expected"], rel=0.01)


def test_a_settled_window_around_python_differs_by_the_work_alone(guest):
    """A million more rounds are two million more instructions, within what Python varies by."""
    *_, one, two = guest["python_window"]["counts"]
    assert two - one == pytest.approx(2_000_000, rel=0.001)
    assert 0 < guest["python_window"]["overhead"] < one - 2_000_000


def test_instructions_per_cycle(guest):
    """-icount shift=1: two cycles each."""
    assert guest["names"]["ipc"] == pytest.approx(0.5, rel=0.001)


def test_an_existing_pool(guest):
    """16 jobs of known work on four threads that existed: within 0.1%."""
    count = guest["pool"]["reading"]["instructions:u"]
    assert count["value"] == pytest.approx(guest["pool"]["expected"], rel=0.001)
    assert count["threads"] == 5
    assert count["exclusions"] == ["kernel"]


def test_a_helper_thread_counts_once(guest):
    """20 million instructions in a thread born of a pool's thread; starting it in Python costs some more."""
    value = guest["helper"]["reading"]["instructions:u"]["value"]
    assert value == pytest.approx(guest["helper"]["expected"], rel=0.01)


def test_twelve_events_scaled(guest):
    """This PMU has six programmable counters: twelve take turns; estimates within 1%, and flagged."""
    counts = guest["twelve_scaled"]["reading"].values()
    assert len(counts) == 12
    for count in counts:
        assert count["scaled"]
        assert count["value"] == pytest.approx(guest["twelve_scaled"]["expected"], rel=0.01)


def test_twelve_events_refused(guest):
    assert "6 fit on the PMU" in guest["twelve_refused"]["error"]


def test_twelve_events_in_passes(guest):
    """Two calls, six events each, none of them estimated."""
    assert guest["twelve_passes"]["calls"] == 2
    for count in guest["twelve_passes"]["reading"].values():
        assert not count["scaled"]
        assert count["value"] == pytest.approx(guest["twelve_passes"]["expected"], rel=0.001)
    assert {count["group"] for count in guest["twelve_passes"]["reading"].values()} == {0, 1}


def test_children_count_in_a_tree_only(guest):
    """20 million instructions of a forked child; forking itself costs Python less than 2 million."""
    found, expected = guest["children"]["counts"], guest["children"]["expected"]
    assert found["tree"] == pytest.approx(expected, rel=0.1)
    assert found["tree"] >= expected
    assert found["thread"] < 0.1 * expected
    assert found["process"] < 0.1 * expected


def test_fork_beside_mapped_pages(guest):
    """The kernel does not copy the pages into the child, which can count for itself; the parent goes on."""
    assert guest["forked_with_pages"]["status"] == 0
    value = guest["forked_with_pages"]["reading"]["instructions:u"]["value"]
    assert value == pytest.approx(2_000_000, rel=0.05)


def test_sessions_leave_no_page_mapped(guest):
    before, during, after = guest["many_sessions"]["counts"]
    assert before == after
    assert during == [before[0] + 2, before[1] + 2]


def test_programs(guest):
    """100 million rounds more are 200 million instructions more; -icount shift=1: two cycles each."""
    found = guest["programs"]
    assert found["statuses"] == [0, 0]
    one, other = found["instructions"]
    assert other - one == pytest.approx(found["expected"], rel=0.02)  # Python's start varies
    assert found["ipc"] == pytest.approx(0.5, rel=0.001)


def test_counters_that_others_hold(guest):
    """Two of six are held by others for good: four fit, six are refused or take turns, none is 0."""
    found = guest["counters_held"]
    assert "4 fit on the PMU" in found["refused"]
    for count in found["reading"].values():
        assert count["value"] == pytest.approx(found["expected"], rel=0.01)
    assert any(count["scaled"] for count in found["reading"].values())
    assert {count["group"] for count in found["four"].values()} == {0}
    assert all(count["value"] >= 2_000_000 and not count["scaled"] for count in found["four"].values())


def test_a_raw_event_that_the_pmu_lacks_is_no_0(guest):
    count = guest["lacking"]["reading"]["r3ff:u"]
    assert count["value"] is None
    assert "does not list" in count["reason"]


def test_a_group_that_never_runs_is_no_0(guest):
    for count in guest["never_runs"]["reading"].values():
        assert count["value"] is None
        assert "never ran" in count["reason"]


def test_one_event_by_four_names(guest):
    """The kernel's name in sysfs, its terms, its number (inst_retired, 0x08) and the generic event."""
    counts = list(guest["by_sysfs"]["reading"].values())
    assert len(counts) == 4
    assert {count["value"] for count in counts} == {counts[0]["value"]}
    assert counts[0]["value"] == pytest.approx(2_000_000, rel=0.001)
    assert {count["group"] for count in counts} == {0}
    assert {count["pmu"] for count in counts} == {"armv8_pmuv3"}


def test_doctor_knows_what_this_machine_has(guest):
    """QEMU's PMU has instructions and cycles; what is checked against known work is right."""
    found = guest["examined"]["findings"]
    verdicts = {subject: verdict for subject, (verdict, _) in found.items()}
    for name in (
        "instructions",
        "task-clock",
        "cpu-clock",
        "page-faults",
        "minor-faults",
        "context-switches",
    ):
        assert verdicts[name] == "ok", found[name]
    assert verdicts["cycles"] == "unchecked"
    for name in ("branch-misses", "LLC-misses", "dTLB-load-misses", "dram-bytes-read"):
        assert verdicts[name] == "refused"
    assert not guest["examined"]["trusted"]


def test_which_of_several_can_be_counted(guest):
    """QEMU's PMU has no TLB events; the kernel says ENOENT, which is told as what it is."""
    refused = guest["which"]["refused"]
    assert [name for name, why in refused.items() if why is None] == [
        "instructions",
        "cycles",
        "LLC-misses",  # a raw event opens; that it counts nothing is told by its reading
        "page-faults",
    ]
    assert "this processor's PMU (armv8_pmuv3) does not have it" in refused["dTLB-load-misses"]


def test_llc_misses_are_not_trusted_where_there_are_none(guest):
    """QEMU's PMU has no cache events."""
    assert not guest["llc"]["trusted"]


def test_an_ordinary_user_at_each_paranoid_level(guest):
    """1: the kernel too; 2: without it, and said; 3 (Debian's own): refused; each with the right message."""
    found = guest["privileges"]
    assert found["1"]["reading"]["instructions"]["exclusions"] == []
    assert found["2"]["reading"]["instructions"]["exclusions"] == ["kernel"]
    assert "perf_event_paranoid is 3; it must be 2 or lower" in found["3"]["error"]
    assert "it must be 0 or lower to count whole CPUs" in found["2 cpu"]["error"]
    assert found["1 switches"] == {"n": 1}
    assert "it happens in the kernel" in found["2 switches"]["error"]
