"""
The parent's side of a worker: starting it natively or under llcsim, telling how it died, killing it
with all it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import psutil

from formfn_profile.measuring.messages import Channel, Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perfcounters.caches import Processor
    from perfcounters.simulator import Cpuid

_LOG_TAIL = 2000
_GRACE_S = 2.0


@dataclass(frozen=True)
class Settings:
    """How the simulator runs a program; see `perfcounters.simulator.command`."""

    cpuid: Cpuid = "model"
    exact_fma: bool = False
    fixed_layout: bool = False
    curve: bool = False


@dataclass(frozen=True)
class Launcher:
    """
    How workers are started: `processors` empty is natively, else under llcsim with their caches modelled.

    `settings` are the simulator's. `environment` is added to the worker's, where an ISA cap goes.
    """

    processors: tuple[Processor, ...] = ()
    program: tuple[str, ...] = (sys.executable, "-m", "formfn_profile.measuring.worker")
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)

    @property
    def name(self) -> Literal["native", "llcsim"]:
        """The record's word for it: "native" or "llcsim"."""
        return "llcsim" if self.processors else "native"

    def simulation(self, threads: int) -> dict[str, Any]:
        """
        Return what a record of a point with so many threads says of the simulator's settings; empty
        natively.
        """
        if not self.processors:
            return {}
        told = self.processors[0].name if self.settings.cpuid == "model" else "valgrind"
        coherence = {"coherence": "write-invalidate"} if threads > 1 else {}  # older records have none
        return asdict(self.settings) | {"cpuid": told} | coherence

    def command(self, fd: int) -> tuple[list[str], dict[str, str]]:
        """Return the worker's arguments and environment, for a socket that it inherits as descriptor `fd`."""
        argv = [*self.program, "--fd", str(fd), "--parent", str(os.getpid())]
        environment = os.environ | {"PYTHONHASHSEED": "0"} | dict(self.environment)
        if self.processors:
            from perfcounters import simulator

            argv, more = simulator.command(argv, self.processors, **asdict(self.settings))
            environment |= more
        return argv, environment


class Worker:
    """A running worker process for jobs of one backend. `job` is what it works on; None: it is free."""

    def __init__(self, launcher: Launcher, backend: str) -> None:
        """Start the process; it says {"kind": "ready"} when it can take a job."""
        ours, theirs = socket.socketpair()
        self.backend = backend
        self.channel = Channel(ours)
        self.job: Job | None = None
        self.ready = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        argv, environment = launcher.command(theirs.fileno())
        with theirs:
            self._process = subprocess.Popen(
                argv,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )

    @property
    def pid(self) -> int:
        """Process id of the worker (of Valgrind's process, under llcsim: the same one)."""
        return self._process.pid

    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._process.poll() is None

    def send(self, job: Job) -> None:
        """
        Give the worker a job. One that has just died takes it too: its death is found when its answer
        is waited for.
        """
        self.job = job
        with contextlib.suppress(OSError):
            self.channel.send(job.to_dict())

    def messages(self) -> tuple[Sequence[dict[str, Any]], bool]:
        """Return what has come, and whether more can come."""
        return self.channel.receive_ready()

    def death(self) -> str:
        """
        Wait for the process, which is gone or going, and say how it ended, with the last lines it
        printed.
        """
        try:
            status = self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._process.wait()
        return f"{exit_sentence(status)}{self._last_words()}"

    def kill(self) -> None:
        """Kill the process and all its children, and wait until they are gone."""
        kill_tree(self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GRACE_S)
        kill_session(self._process.pid)
        self.channel.close()

    def close(self) -> None:
        """Let a free worker end by itself, then make sure of it."""
        self.channel.close()
        if self.job is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_GRACE_S)
        self.kill()
        self._log.close()

    def _last_words(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL))
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines()]
        words = [line for line in lines if line][-3:]
        return f"; it printed: {' | '.join(words)}" if words else ""


def exit_sentence(status: int) -> str:
    """
    Say in words what a process's exit status means; negative ones are signals, as `subprocess` has
    them.
    """
    if status >= 0:
        return f"the worker ended by itself with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the kernel's out-of-memory killer sends this one)" if -status == signal.SIGKILL else ""
    return f"the worker was killed by {name}{hint}"


def kill_tree(pid: int) -> None:
    """Kill a process and everything that it started, children last found first, and wait for them."""
    try:
        root = psutil.Process(pid)
        family = [*reversed(root.children(recursive=True)), root]
    except psutil.NoSuchProcess:
        return
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family, timeout=_GRACE_S)


def kill_session(leader: int) -> None:
    """Kill what a process that led a session, and is gone, has left running there, such as a forked child."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if process.pid != leader and os.getsid(process.pid) == leader:
                process.kill()
