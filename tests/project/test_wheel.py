"""The distribution as a stranger gets it: sdist and wheel, installed elsewhere, running the main job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.simulator]


def run(*command, cwd, **environment):
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The sdist of what the checkout holds, and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    built = ("__pycache__", "*.so", "*.egg-info", "build", "dist", ".git", ".venv", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*built, "formfn_results"))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ".", cwd=source)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sdist, wheel


def test_they_hold_what_they_need_and_nothing_else(distributions):
    """The simulator's sources travel in both; tests and tools in the sdist alone; abi3 from 3.10 on."""
    sdist, wheel = distributions
    with tarfile.open(sdist) as unpacked:
        in_sdist = {name.partition("/")[2] for name in unpacked.getnames()}
    with zipfile.ZipFile(wheel) as unpacked:
        in_wheel = set(unpacked.namelist())
    sources = {path.name for path in (ROOT / "csrc/llcsim").glob("*.[ch]")}
    assert sources <= {Path(name).name for name in in_sdist if name.startswith("csrc/llcsim/")}
    assert sources <= {Path(name).name for name in in_wheel if name.startswith("perfcounters/llcsim_src/")}
    assert {"tests/project/test_wheel.py", "Makefile", "tools/pins.py"} <= in_sdist
    assert {"perfcounters/py.typed", "formfn_profile/py.typed", "perfcounters/catalogue.json"} <= in_wheel
    assert {name.split("/")[0] for name in in_wheel if ".dist-info/" not in name} == {
        "perfcounters",
        "formfn_profile",
    }
    assert "-cp310-abi3-" in wheel.name


def test_the_main_job_runs_from_an_installed_wheel(distributions, tmp_path):
    """Away from the checkout, with a simulator that it builds from the sources in the wheel."""
    site = tmp_path / "site"
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site),
        distributions[1],
        cwd=tmp_path,
    )
    away = {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    where = run(
        sys.executable, "-c", "import perfcounters; print(perfcounters.__file__)", cwd=tmp_path, **away
    )
    assert Path(where.strip()).is_relative_to(site)
    shown = run(
        *(sys.executable, "-m", "formfn_profile.llc", "--pattern", "dwbottleneck", "--depths", "2"),
        *("--width", "16", "--resolution", "16", "--cache", "paper", "--out", "r.jsonl"),
        cwd=tmp_path,
        **away,
    )
    assert "Picture: r.png" in shown
    found = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [record["status"] for record in found] == ["ok"] * 4
    assert list((tmp_path / "cache").rglob("llcsim-amd64-linux"))
