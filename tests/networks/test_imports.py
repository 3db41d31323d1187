"""What an import costs: nothing heavy until it is used."""

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "openvino", "onnxruntime", "numpy", "matplotlib", "pytorchcv")


@pytest.mark.parametrize(
    "module",
    [
        "formfn_profile",
        "formfn_profile.backends",
        "formfn_profile.patterns",
        "formfn_profile.flops",
        "formfn_profile.networks",
    ],
)
def test_imports_load_no_framework(module):
    code = f"import {module}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


SENDING = """
import sys, tempfile
from pathlib import Path
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event in WATCHED else None)
import torch
from formfn_profile import backends
backend = backends.get("openvino-cpu")
backend.load(backend.prepare(torch.nn.ReLU(), torch.ones(1, 3), Path(tempfile.mkdtemp())), threads=1).infer()
print(sorted(set(seen)))
"""


@pytest.mark.slow
def test_openvino_sends_nothing(tmp_path):
    """
    Importing and converting starts no process and asks no network: Python's own audit events say so. The
    consent file that openvino_telemetry looks for is absent, which it takes for consent.
    """
    watched = ("os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect", "socket.getaddrinfo")
    code = f"WATCHED = {watched}\n{SENDING}"
    kept = {
        name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
