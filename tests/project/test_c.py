"""The C code compiles without a warning of the compiler or of its static analysis."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.simulator
@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind; apt-get install valgrind")
def test_every_source_compiles_without_a_warning():
    """With -Wall, -Wextra, -Wmissing-prototypes and -fanalyzer: `make analyze`."""
    command = [sys.executable, ROOT / "tools/check_c.py", "-fanalyzer"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
