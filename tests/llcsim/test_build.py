"""Building the simulator: what is missing is said with its remedy; the result is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfcounters import simulator
from perfcounters._llcsim_build import ensure_built, find_valgrind
from perfcounters.errors import SimulatorBuildError, SimulatorMissingError

pytestmark = pytest.mark.simulator


def test_no_valgrind_names_the_package(monkeypatch, tmp_path):
    """Nothing on the PATH: the message has the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SimulatorMissingError, match="apt-get install valgrind gcc"):
        find_valgrind()


def test_no_compiler_names_the_package(monkeypatch, tmp_path, valgrind):
    """Valgrind but no gcc, and nothing built yet."""
    (tmp_path / "valgrind").symlink_to(find_valgrind().program.resolve())
    program = find_valgrind().program
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(SimulatorMissingError, match=r"no-such-compiler.*apt-get install") as caught:
        ensure_built()
    assert "C compiler" in str(caught.value)
    assert program.exists()


def test_other_machines_are_refused(monkeypatch):
    """There is no tool for arm64: one line says what this machine is, and what counts there."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(SimulatorMissingError, match=r"^the cache .* Linux on aarch64; .* doctor` tells.*$"):
        find_valgrind()


def test_unusable_cache_folder_names_the_variable(monkeypatch, tmp_path, valgrind):
    """A file in the place of the cache folder."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(SimulatorBuildError, match="XDG_CACHE_HOME"):
        ensure_built()


def test_a_compiler_error_is_quoted(monkeypatch, tmp_path, valgrind):
    """A compiler that fails: its first error line and the command are in the message."""
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'x.c:1: error: no such thing' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SimulatorBuildError, match="no such thing"):
        ensure_built()
    assert list((tmp_path / "cache" / "formfn-profile" / "llcsim").iterdir()) == []


def test_built_once_and_by_several_at_once(monkeypatch, tmp_path, valgrind):
    """Three processes that find nothing built end with one folder, and a later call builds nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = "from perfcounters.simulator import ensure_built; print(ensure_built())"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    folders = {run.communicate()[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(folders) == 1
    assert [p.name for p in (tmp_path / "formfn-profile" / "llcsim").iterdir()] == [Path(folders.pop()).name]
    said = []
    ensure_built(said.append)
    assert said == []


def test_a_binary_that_others_may_write_is_not_run(monkeypatch, tmp_path, valgrind):
    """The tool runs with the user's rights, so it must be the user's alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = ensure_built()
    os.chmod(folder / "llcsim-amd64-linux", 0o777)  # noqa: PTH101, S103
    with pytest.raises(SimulatorBuildError, match="not yours alone"):
        simulator.command(["true"], [])
