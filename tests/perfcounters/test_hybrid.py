"""Processors with two kinds of cores: one event is opened on each PMU, and raw counts add up."""

import errno

import pytest

from perfcounters import Counters, _kernel, errors


def counted(kernel, core, atom, **kwargs):
    """Answer the second read with (enabled, running, value) for each kind of cores; the first with 0."""

    def answers(fd, turn):
        return (0, 0, 0) if turn == 1 else (core if kernel.encodings[fd].pmu == 4 else atom)

    kernel.answers = answers
    with Counters("instructions", "LLC-misses", scope="thread", **kwargs) as counters:
        pass
    return counters.reading


def test_each_event_is_opened_on_each_pmu(kernel, alder_lake):
    """Generic events carry the PMU type in bits 32 up (perf_event.h, PERF_PMU_TYPE_SHIFT); raw as type."""
    counted(kernel, (1000, 1000, 1), (1000, 0, 0))
    encodings = set(kernel.encodings.values())
    assert encodings == {
        _kernel.Encoding(_kernel.TYPE_HARDWARE, 4 << 32 | 1),
        _kernel.Encoding(_kernel.TYPE_HARDWARE, 10 << 32 | 1),
        _kernel.Encoding(4, 0x412E),
        _kernel.Encoding(10, 0x412E),
    }


def test_raw_counts_add_up_and_are_not_scaled(kernel, alder_lake):
    """600 of 1,000 ns on P cores, 400 on E cores: 300 + 80 events, not 300/0.6 + 80/0.4 = 700."""
    reading = counted(kernel, (1000, 600, 300), (1000, 400, 80))
    for count in reading:
        assert (count.value, count.raw, count.scaled) == (380, 380, False)
        assert (count.time_enabled_ns, count.time_running_ns) == (1000, 1000)
    assert reading.mpki == 1000


def test_a_thread_that_stayed_on_one_kind(kernel, alder_lake):
    """Never having run on the other kind is no lack."""
    assert counted(kernel, (1000, 0, 0), (1000, 1000, 80))["instructions"].value == 80


def test_turns_on_a_hybrid_are_flagged(kernel, alder_lake):
    """Both together ran half the time: 190 in 500 of 1,000 ns are estimated as 380."""
    count = counted(kernel, (1000, 300, 150), (1000, 200, 40), multiplex="scale")["instructions"]
    assert (count.value, count.raw, count.scaled) == (380, 190, True)


def test_never_running_on_either_is_not_0(kernel, alder_lake):
    count = counted(kernel, (1000, 0, 0), (1000, 0, 0), multiplex="scale")["instructions"]
    assert count.value is None
    assert "never ran" in count.reason


def test_no_pmu_behind_a_level_that_hides_the_kernel(kernel, machine):
    """
    At paranoid 2 the kernel refuses an ordinary user EACCES first, and ENOENT once the kernel's part is
    left out: the second is the cause.
    """
    kernel.refuse = lambda encoding, flags, group_fd: (
        errno.ENOENT if flags & _kernel.EXCLUDE_KERNEL else errno.EACCES
    )
    with pytest.raises(errors.EventUnavailableError, match="shows no performance counters"):
        Counters("instructions").open()
