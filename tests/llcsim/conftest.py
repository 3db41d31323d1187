"""Programs to run under the simulator, compiled on first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perfcounters import simulator
from perfcounters._llcsim_build import find_valgrind
from perfcounters._sources import llcsim_sources
from perfcounters.caches import Level, Processor
from perfcounters.errors import SimulatorMissingError

HERE = Path(__file__).parent
PERF_EVENT = HERE.parents[1] / "csrc" / "perf_event"

sys.path.insert(0, str(HERE))

Compile = Callable[..., Path]
Run = Callable[..., str]


@pytest.fixture(scope="session")
def compile_program(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile sources of this folder with gcc; gives the program."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc: the programs to simulate cannot be compiled")
    folder = tmp_path_factory.mktemp("programs")

    def compile_(source: str, *options: str, name: str = "") -> Path:
        program = folder / (name or Path(source).stem)
        if not program.exists():
            command = ["gcc", "-Wall", "-fno-strict-aliasing", f"-I{PERF_EVENT}", f"-I{llcsim_sources()}"]
            subprocess.run([*command, str(HERE / source), "-o", str(program), *options], check=True)
        return program

    return compile_


@pytest.fixture(scope="session")
def valgrind() -> None:
    """Skip, with the reason, where there is no Valgrind for the simulator."""
    try:
        find_valgrind()
    except SimulatorMissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def simulate(valgrind: None) -> Run:
    """Run a program under llcsim; gives what it printed."""

    def run(argv: list[str | Path], processors: list[Processor], **options: object) -> str:
        command, environment = simulator.command([str(a) for a in argv], processors, **options)
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def processor(name: str, l1d: str, l2: str | None, llc: str) -> Processor:
    return Processor(name, Level.parse(l1d), Level.parse(l2) if l2 else None, Level.parse(llc), "a test")


@pytest.fixture
def paper() -> Processor:
    """The paper's processor as the issue gives it: 32 KiB/8, 256 KiB/4, 4 MiB/16."""
    return processor("paper", "32K/8", "256K/4", "4M/16")


@pytest.fixture
def without_l2() -> Processor:
    """Callgrind's two levels: a data L1 and a last level."""
    return processor("two-level", "32K/8", None, "4M/16")
