"""A program in a mount namespace of its own, where any user may mount: real full disks, no /proc, no /sys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture(scope="session")
def mounting():
    """Skip where the system gives no namespace to mount in."""
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` (util-linux), which a mount namespace needs")
    tried = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip("this system lets no ordinary user mount in a namespace of its own")


@pytest.fixture
def run_with(mounting):
    """Run words of Python's after the commands of mounting, and return what became of it."""

    def run(mounts, *words, **environment):
        script = " && ".join([*mounts, 'exec "$@"'])
        argv = [*UNSHARE, "sh", "-c", script, "sh", sys.executable, *map(str, words)]
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )

    return run
