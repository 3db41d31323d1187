"""Signals that come where an exception would get lost."""

from __future__ import annotations

import os
import signal

import pytest

from formfn_profile.measuring.interrupt import Interrupt


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
