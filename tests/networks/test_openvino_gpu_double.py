"""
The GPU backend against Intel's driver in its mode that executes nothing.

With these debug keys the driver lists a Kaby Lake GPU (the i5-7600K's HD 630) on any machine, compiles for
it, and returns from an inference with nothing computed. That must never become a result.
"""

import json
import os
import subprocess
import sys

import pytest
import torch

from formfn_profile import backends, patterns
from formfn_profile.patterns import PatternSpec

STAND_IN = {
    "NEOReadDebugKeys": "1",
    "SetCommandStreamReceiver": "1",
    "ProductFamilyOverride": "kbl",
    "UseAubStream": "0",
    "HardwareInfoOverride": "1x3x8",
    "ForceDeviceId": "0x5912",
}
DEVICES = "import json, openvino; print(json.dumps(openvino.Core().available_devices))"
LOAD = """
import sys
from pathlib import Path
from formfn_profile import backends
from formfn_profile.errors import BackendError
try:
    backends.get("openvino-gpu").load(Path(sys.argv[1]), threads=1)
except BackendError as error:
    print(error)
"""
FORCE = """
import json, sys
from pathlib import Path
from formfn_profile.backends.openvino_gpu import OpenVinoGpu
class Credulous(OpenVinoGpu):
    def check_devices(self, core):
        pass
session = Credulous("openvino-gpu").load(Path(sys.argv[1]), threads=1)
session.infer()
print(json.dumps({"output": session.output().tolist(), **session.facts()}))
"""


@pytest.fixture
def under_stand_in(tmp_path):
    """Run Python code where the driver pretends; it leaves .aub files in its working folder."""

    def run(code, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=os.environ | STAND_IN,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    if "GPU" not in json.loads(run(DEVICES)):
        pytest.skip("no Intel OpenCL driver; apt-get install intel-opencl-icd")
    return run


@pytest.fixture
def prepared(tmp_path):
    """A network on disk, and what it should give."""
    spec = PatternSpec("dwbottleneck", depth=3, width=32, resolution=16)
    model, x = patterns.build(spec), patterns.example_input(spec)
    with torch.inference_mode():
        truth = model(x).numpy()
    return backends.get("openvino-gpu").prepare(model, x, tmp_path), truth


@pytest.mark.slow
def test_a_driver_that_executes_nothing_is_refused(under_stand_in, prepared):
    assert "a driver's stand-in that executes nothing" in under_stand_in(LOAD, prepared[0])


@pytest.mark.slow
def test_its_compilation_is_real_and_its_output_fails_the_check(under_stand_in, prepared, error_of):
    """Let through, it compiles as asked, in f32 with one stream; what it "computes" is wrong at once."""
    path, truth = prepared
    told = json.loads(under_stand_in(FORCE, path))
    assert told["device"].startswith("GPU")
    assert (told["precision"], told["streams"], told["threads"]) == ("f32", 1, None)
    assert sum(n for name, n in told["kernels"].items() if name.startswith("Convolution")) == 10
    assert error_of(told["output"], truth) > 0.1
