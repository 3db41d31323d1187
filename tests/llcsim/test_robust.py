"""Programs that Valgrind runs do not fail under llcsim: made and changed code, signals, large libraries."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.simulator


def test_code_that_is_made_and_changed_runs_as_written(simulate, compile_program, paper):
    """A function rewritten before each of 1,200 calls always does what was written last."""
    assert simulate([compile_program("programs/jit.c", "-O1")], [paper]) == "1200\n"


SIGNALS = """
import signal
from perfcounters import simulator
caught = []
signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
with simulator.recording():
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    total = sum(i * i for i in range(200_000))
    signal.setitimer(signal.ITIMER_REAL, 0)
print(total == sum(i * i for i in range(200_000)), len(caught) > 3)
"""


@pytest.mark.parametrize("model_thread", [False, True])
def test_signals_reach_the_program_while_it_is_recorded(simulate, paper, model_thread):
    """A timer of a millisecond: its handler runs in the program, whichever thread the model is on."""
    code = [sys.executable, "-c", SIGNALS]
    assert simulate(code, [paper], model_thread=model_thread) == "True True\n"


@pytest.mark.slow
def test_large_libraries_load(simulate, paper):
    """NumPy, PyTorch and OpenVINO in one process."""
    code = "import numpy, torch, openvino; print(int((torch.ones(8) @ torch.ones(8)).item()))"
    assert simulate([sys.executable, "-c", code], [paper]) == "8\n"
