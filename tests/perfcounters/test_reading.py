"""From what the kernel answers to counts: exact, matched by id, never negative, never a false 0."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfcounters import Count, Counters, Reading


def counted(kernel, first, second, *events, **kwargs):
    """Count with a kernel that answers first to the first read and second to the second."""
    kernel.turn = 0
    kernel.answers = lambda fd, turn: (first, second)[turn - 1](fd)
    with Counters(*events, scope="thread", **kwargs) as counters:
        pass
    return counters.reading


def constant(*answer):
    return lambda fd: answer


def test_members_are_matched_by_id(kernel, skylake):
    """The fake kernel gives members in reverse order; each value is its own descriptor's."""
    reading = counted(
        kernel, constant(0, 0, 0), lambda fd: (10**9, 10**9, fd), "instructions", "cycles", "branches"
    )
    leader = min(kernel.groups)
    assert leader  # opened
    values = [reading[event].value for event in ("instructions", "cycles", "branches")]
    assert values == sorted(values)
    assert values[2] - values[0] == 2


def test_times_and_value_are_differences(kernel, skylake):
    reading = counted(kernel, constant(5, 5, 100), constant(1005, 1005, 350), "instructions")
    count = reading["instructions"]
    assert (count.value, count.raw, count.time_enabled_ns, count.time_running_ns) == (250, 250, 1000, 1000)
    assert not count.scaled
    assert count.reason is None


def test_scaled_by_the_differences_of_the_times(kernel, skylake):
    """The estimate is raw x enabled / running, with the times of the window: 100 x 1000 / 250 = 400."""
    reading = counted(
        kernel, constant(500, 500, 7), constant(1500, 750, 107), "instructions", multiplex="scale"
    )
    count = reading["instructions"]
    assert (count.value, count.raw, count.scaled) == (400, 100, True)


def test_unscaled_is_refused_unless_asked(kernel, skylake):
    count = counted(kernel, constant(0, 0, 0), constant(1000, 250, 100), "instructions")["instructions"]
    assert count.value is None
    assert count.raw == 100
    assert "25% of the time only" in count.reason


def test_an_event_that_never_ran_is_not_0(kernel, skylake):
    count = counted(kernel, constant(0, 0, 0), constant(1000, 0, 0), "instructions", multiplex="scale")[
        "instructions"
    ]
    assert count.value is None
    assert "never ran on the PMU" in count.reason


def test_0_of_an_event_that_the_kernel_does_not_list_is_no_count(kernel, skylake):
    reading = counted(kernel, constant(0, 0, 0), constant(1000, 1000, 0), "r1234", "instructions")
    assert reading["r1234"].value is None
    assert "does not list" in reading["r1234"].reason
    assert reading["instructions"].value == 0


words = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.sampled_from([0, 2**48 - 1, 2**63]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    first=st.tuples(words, words, words),
    second=st.tuples(words, words, words),
    multiplex=st.sampled_from(["refuse", "scale"]),
)
def test_no_answer_of_the_kernel_makes_a_count_negative_or_a_false_0(
    kernel, skylake, first, second, multiplex
):
    reading = counted(kernel, constant(*first), constant(*second), "instructions", multiplex=multiplex)
    count = reading["instructions"]
    assert (count.value is None) == (count.reason is not None)
    if count.value is not None:
        assert count.value >= 0
        assert 0 < count.time_running_ns <= count.time_enabled_ns
        assert count.value == second[2] - first[2] or count.scaled


def make(value=10, event="LLC-misses", **kwargs):
    fields = {
        "encoding": "cpu/config=0x412e/",
        "source": "hardware",
        "scope": "process",
        "time_enabled_ns": 100,
        "time_running_ns": 100,
        "scaled": False,
        "exclusions": ("kernel",),
        "threads": 2,
        "definition": "misses",
        "reason": None,
        "raw": value,
    }
    return Count(event=event, value=value, **{**fields, **kwargs})


def test_readings_survive_json():
    reading = Reading([make(), make(None, "cycles", reason="no PMU", raw=None)])
    assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_adding_and_subtracting_undo_each_other(a, b):
    one, other = Reading([make(a)]), Reading([make(b)])
    assert (one + other) - other == one


def test_a_difference_below_zero_is_no_count():
    count = (Reading([make(1)]) - Reading([make(2)]))["LLC-misses"]
    assert count.value is None
    assert count.reason


def test_readings_of_different_encodings_do_not_mix():
    with pytest.raises(ValueError, match="differently"):
        Reading([make()]) + Reading([make(encoding="raw 0x1")])


def test_derived_figures():
    """MPKI = 1000 x 10 / 2000, IPC = 2000 / 1000, bytes = 64 x 10."""
    reading = Reading([make(10), make(2000, "instructions"), make(1000, "cycles")])
    assert (reading.mpki, reading.ipc, reading.miss_bytes) == (5.0, 2.0, 640)
    assert reading.miss_rate is None


def test_no_ratio_of_events_that_were_not_counted_together():
    reading = Reading([make(2000, "instructions"), make(1000, "cycles", group=1)])
    assert reading.ipc is None


def test_repr_is_one_line():
    reading = Reading([make(1234), make(None, "cycles", reason="no PMU")])
    assert repr(reading) == (
        "<Reading: LLC-misses 1,234 [no kernel], cycles not counted (no PMU) [no kernel]>"
    )
