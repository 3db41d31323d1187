"""Signals that come where an exception would get lost."""

from __future__ import annotations

import os
import signal

import pytest

from formfn_profile.execution import Study
from formfn_profile.measuring.interrupt import Interrupt
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.patterns import PatternSpec
from formfn_profile.plan import Plan, Point
from formfn_profile.progress import Progress


class Finaliser:
    """Python prints and drops whatever is raised in `__del__`."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_in_a_finaliser_is_not_lost(capfd):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        made = Finaliser()
        del made
        interrupt.check()
    assert "Exception ignored" not in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_signal_does_not_wait():
    with pytest.raises(KeyboardInterrupt), Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")


def test_termination_exits_with_143():
    with pytest.raises(SystemExit) as ended, Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGTERM)
        interrupt.check()
    assert ended.value.code == 143


def test_a_fault_that_the_signal_caused_counts_as_the_signal():
    """A compiler started by the run gets the terminal's Ctrl-C too, and its failure is none of ours."""
    with pytest.raises(KeyboardInterrupt), Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        raise OSError("gcc ended with signal 2")


def test_nothing_happens_without_a_signal():
    with Interrupt() as interrupt:
        interrupt.check()
    assert interrupt.signal is None


class Listening(Progress):
    """Notes that a point is being timed."""

    timing = False

    def say(self, point, stage):
        self.timing = self.timing or stage.startswith("warm-up")
        super().say(point, stage)


@pytest.mark.slow
def test_ctrl_c_finishes_the_point_under_way_and_begins_no_other():
    points = tuple(Point(PatternSpec("standard", depth, width=8, resolution=8), "torch") for depth in (1, 2))
    progress = Listening(len(points))

    def check():
        if progress.timing:
            raise KeyboardInterrupt

    study = Study(Plan(points, Protocol(calls=3, seconds=0, warmup_seconds=0.1), "none"), check)
    found = []
    with pytest.raises(KeyboardInterrupt):
        for _, record in study.records(progress):
            found.append(record)
    progress.close()
    assert [(record.depth, record.status) for record in found] == [(1, "ok")]
