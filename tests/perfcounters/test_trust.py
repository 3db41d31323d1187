"""LLC misses are trusted where known misses count right, and nowhere else."""

import pytest

from perfcounters import Counters, known_work, trust


@pytest.mark.parametrize(
    "ratio,stray,trusted",
    [
        (1.0, 0.0, True),
        (1.19, 0.01, True),
        (0.81, 0.0, True),
        (1.21, 0.0, False),
        (0.79, 0.0, False),
        (0.0, 0.0, False),
        (1.0, 1.0, False),
    ],
)
def test_within_20_percent_and_no_hits_counted(ratio, stray, trusted):
    """Issue's rule: a walk of known misses counts right within 20%; hits must not count as misses."""
    judged = trust.judge(ratio, stray, "cpu/config=0x412e/")
    assert judged.trusted is trusted
    assert judged.ratio == ratio


def test_here():
    """Either the walk was counted, with its figure, or there is a reason in a sentence."""
    here = trust.llc()
    assert here.reason[0].isupper()
    assert here.reason.endswith(".")
    if here.trusted:
        assert here.ratio == pytest.approx(1, abs=trust.TOLERANCE)


def test_a_walk_visits_every_line_once():
    """After as many steps as lines, and not before, the walk is where it began: one cycle."""
    walk = known_work.Walk(257)
    start, seen = walk._at, set()
    for _ in range(257):
        seen.add(walk._at)
        walk.go(1)
    assert len(seen) == 257
    assert walk._at == start


def test_breakpoints_count_writes_exactly():
    """1,000 writes to a watched word are 1,000 events: the processor's own debug registers."""
    import ctypes

    word = ctypes.c_uint64(0)
    with Counters(f"mem:{ctypes.addressof(word):#x}/8:w", scope="thread") as counters:
        for i in range(1000):
            word.value = i
    (count,) = counters.reading
    assert count.value == 1000
