"""
OpenVINO's GPU plugin with its own kernels, executed on a CPU: the path of a GPU's records without a GPU.

A job of its own, `make test-gpu-double`: it fetches 270 MB. Its times and counts are a CPU's, and its fully
connected layers are silently wrong: so it has right outputs and wrong ones to show.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import runtime
import worker

from formfn_profile import backends, execution, notes, patterns, plan, table
from formfn_profile.execution import Study
from formfn_profile.measuring.launcher import Launcher
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.models import Input, resolve
from formfn_profile.patterns import PatternSpec
from formfn_profile.preparation import Preparer
from formfn_profile.progress import Progress

FOLDER = Path(os.environ.get("FORMFN_GPU_DOUBLE", "/none"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (FOLDER / runtime.DONE).exists(), reason="run it with: make test-gpu-double"),
]
SPEC = PatternSpec("standard", depth=2, width=32, resolution=16)


def convolutions():
    """Convolutions alone, which the double computes right."""
    return patterns.build(SPEC).features


class InThisProcess(Preparer):
    """Only this process knows the double as a backend."""

    def __init__(self, folder, _):
        super().__init__(folder)

    def ahead(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def measured(monkeypatch):
    """Records of points on the double: by its own worker, in the environment in which it is seen."""
    launcher = Launcher(
        program=(sys.executable, worker.__file__), environment=runtime.environment(FOLDER.resolve())
    )
    monkeypatch.setitem(backends.BACKENDS, worker.NAME, worker.DOUBLE)
    monkeypatch.setattr(execution, "Preparers", InThisProcess)
    monkeypatch.setattr(plan, "Launcher", lambda **_: launcher)
    monkeypatch.setitem(sys.modules, "double_models", sys.modules[__name__])

    def measure(*points):
        wanted = plan.Plan(points, Protocol(calls=3, seconds=0.0), "none")
        return [record for _, record in Study(wanted).records(Progress(len(points), stream=io.StringIO()))]

    return measure


def points(spec):
    return [plan.Point(spec, name) for name in ("torch", worker.NAME)]


def test_right_outputs_are_recorded_as_those_of_a_double(measured):
    """Within 1e-4 of PyTorch; the record says f32, read back, and that no GPU was there."""
    spec = resolve("double_models:convolutions", [Input((1, 3, 16, 16))])
    _, ours = measured(*points(spec))
    assert (ours.status, ours.precision, ours.backend) == ("ok", "f32", worker.NAME)
    assert ours.output_error < 1e-4
    assert ours.device.startswith("GPU")
    assert ours.device.endswith("(a double, not a GPU)")
    assert any("convolution_gpu" in name for name in ours.kernels)


def test_wrong_outputs_never_become_a_speed_up(measured):
    """Its fully connected layer computes something else: a failed record, no latency shown, and why."""
    records = measured(*points(SPEC))
    torch_, ours = records
    assert torch_.status == "ok"
    assert ours.status == "failed"
    assert "off native PyTorch's" in ours.reason
    (shown,) = table.tables(records)
    row = next(line for line in shown.text().splitlines() if worker.NAME in line)
    assert "x" not in row.split(worker.NAME)[1]
    assert any("off native PyTorch's" in line for line in notes.notes(records, ""))


def test_the_backend_itself_refuses_it(measured):
    """Without the mark of a double, a device that states no speed is refused."""
    (record,) = measured(plan.Point(SPEC, "openvino-gpu"))
    assert record.status == "failed"
    assert "stand-in that executes nothing" in record.reason
