"""What an import costs: nothing heavy until it is used."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "openvino", "numpy", "matplotlib", "pytorchcv")


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
