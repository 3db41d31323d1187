"""The distribution as a stranger gets it: sdist and wheel, installed elsewhere, running the main job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1700000000"
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


def build(source, out, *what):
    """Build what a copy of the checkout holds."""
    built = ("__pycache__", "*.so", "*.egg-info", "build", "dist", ".git", ".venv", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*built, "formfn_results", "_perf.c"))
    command = (sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", out, ".")
    run(*command, cwd=source, SOURCE_DATE_EPOCH=EPOCH)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The sdist, and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    build(folder / "source", folder / "dist")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture
def umask():
    """Set it, and set it back in the end."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.fixture
def away(distributions, tmp_path):
    """
    The folder of programs of a new environment with the wheel and, of this one, the dependencies alone: a
    .pth file has no effect where another names its folder, so the checkout is not there.
    """
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", distributions[1], cwd=tmp_path, PYTHONPATH="")
    return folder / "bin"


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


def test_an_sdist_is_the_same_to_the_byte(distributions, tmp_path, umask):
    """Of the same files, packed later, elsewhere and with another umask."""
    umask(0o002)
    build(tmp_path / "elsewhere", tmp_path / "dist", "--sdist")
    (again,) = (tmp_path / "dist").iterdir()
    assert again.read_bytes() == distributions[0].read_bytes()
    with tarfile.open(again) as unpacked:
        assert {(member.mtime, member.uname, member.uid) for member in unpacked} == {(int(EPOCH), "", 0)}


def test_the_main_job_runs_from_an_installed_wheel(away, tmp_path):
    """Away from the checkout, with a simulator that it builds from the sources in the wheel."""
    outside = {"PYTHONPATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    where = run(
        away / "python", "-c", "import perfcounters; print(perfcounters.__file__)", cwd=tmp_path, **outside
    )
    assert Path(where.strip()).is_relative_to(away.parent)
    shown = run(
        *(away / "formfn-llc", "--pattern", "dwbottleneck", "--depths", "2"),
        *("--width", "16", "--resolution", "16", "--cache", "paper", "--out", "r.jsonl"),
        cwd=tmp_path,
        **outside,
    )
    assert "Picture: r.png" in shown
    found = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [record["status"] for record in found] == ["ok"] * 4
    assert list((tmp_path / "cache").rglob("llcsim-amd64-linux"))
