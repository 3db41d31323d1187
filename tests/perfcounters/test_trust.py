"""LLC misses are trusted where known misses count right, and nowhere else."""

import json
import platform

import pytest

from perfcounters import Counters, _validation, known_work, trust


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


def test_a_validated_event_says_so_from_then_on(kernel, skylake, tmp_path, monkeypatch):
    """A count says false until a check has counted right, true after it, in other processes too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_validation, "_known", {})

    def reading():
        with Counters("LLC-misses", "LLC-references", "instructions", scope="thread") as counters:
            pass
        return [counters.reading[name].validated for name in ("LLC-misses", "LLC-references", "instructions")]

    assert reading() == [False, False, None]
    _validation.record("cpu/config=0x412e/", right=True)
    assert reading() == [True, False, None]
    monkeypatch.setattr(_validation, "_known", {})  # another process
    assert reading() == [True, False, None]
    skylake.cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=85, model_name="another processor")
    assert reading() == [False, False, None]
    _validation.record("cpu/config=0x412e/", right=False)
    assert reading() == [False, False, None]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"x": 1}', "\xff"])
def test_a_broken_file_of_checks_validates_nothing(kernel, skylake, tmp_path, monkeypatch, text):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_validation, "_known", {})
    path = tmp_path / "formfn-profile" / "validated-events.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    assert _validation.validated("LLC-misses:u", "cpu/config=0x412e/") is False
    _validation.record("cpu/config=0x412e/", right=True)
    assert json.loads(path.read_text())["Intel(R) Core(TM) i5-6500, Linux " + platform.release()]


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
