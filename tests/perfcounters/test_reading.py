"""From what the kernel answers to counts: exact, matched by id, never negative, never a false 0."""

import itertools
import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from perfcounters import Count, Counters, Reading, errors
from perfcounters._attach import Prepared, Slot
from perfcounters._difference import counts
from perfcounters._kernel import Encoding
from perfcounters.events import Event


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


def test_a_group_that_opens_but_is_not_placed_is_split(kernel, skylake):
    """The NMI watchdog holds one of four counters: the kernel opens a group of four, which never runs."""
    kernel.free_counters = 3
    names = ("instructions", "cycles", "branches", "branch-misses")
    with pytest.raises(errors.TooManyEventsError, match="3 fit on the PMU, and not branch-misses"):
        Counters(*names, scope="thread").open()
    assert not kernel.live
    with Counters(*names, scope="thread", multiplex="scale") as counters:
        pass
    assert [counters.reading[name].group for name in names] == [0, 0, 0, 1]


def slots_of(groups, threads):
    """Each group on each thread; ids are unlike each other and unlike positions."""
    ids = itertools.count(1000, 7)
    return [
        Slot(number, (3,) * len(group), tuple(next(ids) for _ in group))
        for _ in range(threads)
        for number, group in enumerate(groups)
    ]


@st.composite
def adversarial_reads(draw):
    """Two reads of 1 or 2 groups of 1 to 3 events on 1 to 3 threads, with anything in any word."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    names = iter(("instructions", "cycles", "branches", "r1234", "LLC-misses", "ref-cycles"))
    parts = draw(st.booleans())
    groups = [
        [
            Prepared(
                Event(next(names), Encoding(4, 1), "shown", "hardware", "", verified=draw(st.booleans())),
                0,
                part=parts,
            )
            for _ in range(size)
        ]
        for size in sizes
    ]
    slots = slots_of(groups, draw(st.integers(1, 3)))
    honest = st.integers(0, 10**6)
    offsets, before, after = [0], [], []
    for slot in slots:
        size = len(slot.ids)
        offsets.append(offsets[-1] + 3 + 2 * size)
        before.append(draw(st.sampled_from([size] * 20 + [0, size + 2])))
        after.append(draw(st.sampled_from([size] * 20 + [0, size + 2])))
        times = [draw(words)] * 2 if draw(st.booleans()) else [draw(words), draw(words)]
        passed = draw(honest)
        before += times
        after += [
            times[0] + passed,
            draw(st.sampled_from([times[1] + passed] * 5 + [times[1] + passed // 2, times[1], 0])),
        ]
        for identity in slot.ids:
            value = draw(st.one_of(honest, words))
            before += [value, draw(st.sampled_from([identity] * 20 + [0, slots[0].ids[0]]))]
            after += [draw(st.one_of(*[honest.map(value.__add__)] * 5, words)), identity]
    return groups, slots, offsets, before, after


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(adversarial_reads(), st.booleans())
def test_nothing_that_a_kernel_may_answer_makes_a_false_number(reads, scale):
    """Counts are never negative; each has a value or a reason; a value means that it ran in every thread."""
    groups, slots, offsets, before, after = reads
    for count in counts(
        groups, slots, offsets, before, after, scope="process", threads=len(slots), scale=scale
    ):
        assert (count.value is None) == (count.reason is not None)
        assert count.time_enabled_ns >= 0
        assert count.time_running_ns >= 0
        event("counted" if count.value is not None else "refused")
        if count.value is None:
            continue
        assert count.value >= count.raw >= 0
        assert count.time_running_ns > 0
        assert scale or not count.scaled
        for slot, start in zip(slots, offsets, strict=False):
            if groups[slot.group][0].event.name == count.event:
                enabled, running = (after[start + i] - before[start + i] for i in (1, 2))
                assert 0 <= running <= enabled
                assert running > 0 or enabled == 0 or groups[0][0].part


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


def test_derived_figures_by_other_names():
    """IPC = 300 / 100 of cpu-cycles:u and instructions:u; none of user space against everything."""
    user = Reading([make(300, "instructions:u"), make(100, "cpu-cycles:u"), make(2, "cache-misses:u")])
    assert (user.ipc, user.miss_bytes) == (3.0, 128)
    mixed = Reading([make(300, "instructions:u"), make(100, "cycles", exclusions=())])
    assert mixed.ipc is None


def test_table():
    """Each line has amount and unit, name, scope, encoding, and what is special about it."""
    reading = Reading(
        [
            make(1234, validated=False),
            make(50, "cycles", scaled=True, time_running_ns=25, exclusions=(), threads=1),
            make(3, "power/energy-pkg/", scale=0.5, unit="Joules", exclusions=(), scope="cpu", threads=0),
            make(None, "branches", reason="no PMU", exclusions=()),
        ]
    )
    encoding, unchecked = "cpu/config=0x412e/", "not validated: see python -m perfcounters doctor"
    assert reading.table().splitlines() == [
        f"      1,234  LLC-misses         process of 2  {encoding}  without kernel; {unchecked}",
        f"         50  cycles             process       {encoding}  scaled, counted 25% of the time",
        f" 1.5 Joules  power/energy-pkg/  cpu           {encoding}",
        f"not counted  branches           process of 2  {encoding}  no PMU",
    ]


def test_no_ratio_of_events_that_were_not_counted_together():
    reading = Reading([make(2000, "instructions"), make(1000, "cycles", group=1)])
    assert reading.ipc is None


def test_repr_is_one_line():
    reading = Reading([make(1234), make(None, "cycles", reason="no PMU")])
    assert repr(reading) == (
        "<Reading (process): LLC-misses 1,234 [no kernel], cycles not counted (no PMU) [no kernel]>"
    )
