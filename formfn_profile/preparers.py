"""
Preparing networks in processes of their own, side by side, while nothing is timed.

A process that dies (a model's code may do anything, and so may a converter) costs the network that it had.
Run: `python -m formfn_profile.preparers --fd N --parent PID --folder PATH`, by `Preparers`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from formfn_profile.measuring.launcher import exit_sentence, kill_session, kill_tree
from formfn_profile.measuring.machine import usable_cpus
from formfn_profile.measuring.worker import die_with
from formfn_profile.preparation import Form, Prepared, Preparer, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from typing_extensions import Self

_LOOK_S = 1.0
_GRACE_S = 5.0

Request: TypeAlias = "tuple[Spec, tuple[Form, ...]]"


class Preparers:
    """
    As many processes as there are CPUs to prepare with, started when first needed, their files under
    `folder`. A context manager: leaving it leaves no process behind.
    """

    def __init__(self, folder: Path, time_limit: float | None = None) -> None:
        """A network that takes longer than `time_limit` seconds to prepare is given up."""
        self.folder = folder
        self._time_limit = time_limit
        self._done: dict[tuple[Spec, Form], Prepared] = {}
        self._children: list[_Child] = []

    def prepare(self, spec: Spec, form: Form) -> Prepared:
        """Return the network of `spec` in this form, or why there is none."""
        if (spec, form) not in self._done:
            self.ahead([(spec, form)])
        return self._done[spec, form]

    def ahead(self, pairs: Iterable[tuple[Spec, Form]], check: Callable[[], None] = lambda: None) -> None:
        """Prepare what is not prepared of these; `check` is called about once a second and may raise."""
        wanted: dict[Spec, list[Form]] = {}
        for spec, form in dict.fromkeys(pairs):
            if (spec, form) not in self._done:
                wanted.setdefault(spec, []).append(form)
        waiting: list[Request] = [(spec, tuple(each)) for spec, each in wanted.items()]
        while waiting or any(child.request for child in self._children):
            check()
            self._hand_out(waiting)
            self._listen()

    def __enter__(self) -> Self:
        """Return the preparers; processes start with their first network."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process."""
        for child in self._children:
            child.close()
        self._children.clear()

    def _hand_out(self, waiting: list[Request]) -> None:
        limit = usable_cpus()
        while waiting:
            free = next((child for child in self._children if not child.request), None)
            if free is None:
                if len(self._children) >= limit:
                    return
                free = _Child(self.folder, len(self._children), limit)
                self._children.append(free)
            free.take(waiting.pop(0), self._time_limit)

    def _listen(self) -> None:
        busy = {child.connection: child for child in self._children if child.request}
        ready = set(wait(list(busy), _LOOK_S))
        for connection, child in busy.items():
            if connection in ready:
                self._hear(child)
            elif not child.alive():
                self._bury(child, child.death())
            elif time.monotonic() > child.deadline:
                self._bury(child, f"it took longer than the time limit of {self._time_limit:g} s")

    def _hear(self, child: _Child) -> None:
        try:
            answer: list[Prepared] = child.connection.recv()
        except (EOFError, OSError):
            self._bury(child, child.death())
            return
        spec, forms = child.request or (None, ())
        child.request = None
        self._done.update({(spec, form): each for form, each in zip(forms, answer, strict=True) if spec})

    def _bury(self, child: _Child, why: str) -> None:
        spec, forms = child.request or (None, ())
        child.close()
        self._children.remove(child)
        lost = Prepared(reason=f"preparing the network failed: {why}")
        self._done.update({(spec, form): lost for form in forms if spec})


class _Child:
    """One process that prepares; `request` is what it works on."""

    def __init__(self, folder: Path, number: int, of: int) -> None:
        self.request: Request | None = None
        self.deadline = math.inf
        own = folder / f"preparer-{number}-{time.monotonic_ns()}"
        own.mkdir()
        self.connection, theirs = Pipe()
        module = [sys.executable, "-m", "formfn_profile.preparers"]
        parent = ["--fd", str(theirs.fileno()), "--parent", str(os.getpid())]
        self._process = subprocess.Popen(
            [*module, *parent, "--folder", str(own), "--threads", str(max(1, usable_cpus() // of))],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        theirs.close()
        self.connection.send(sys.path)

    def take(self, request: Request, time_limit: float | None) -> None:
        """Give it a network. One that has just died takes it too: its death is found out later."""
        self.request = request
        self.deadline = math.inf if time_limit is None else time.monotonic() + time_limit
        try:
            self.connection.send(request)
        except OSError:
            return

    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._process.poll() is None

    def death(self) -> str:
        """Say how the process ended."""
        try:
            status = self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            return "its process closed the pipe"
        return exit_sentence(status).replace("the worker", "its process")

    def close(self) -> None:
        """Kill the process and all its children."""
        kill_tree(self._process.pid)
        self._process.wait()
        kill_session(self._process.pid)
        self.connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare what is asked for until the parent closes the pipe."""
    parser = argparse.ArgumentParser(prog="formfn_profile.preparers", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the pipe to the parent")
    parser.add_argument("--parent", type=int, required=True, help="process whose death ends this")
    parser.add_argument("--folder", type=Path, required=True, help="where prepared networks go")
    parser.add_argument("--threads", type=int, required=True, help="threads of PyTorch")
    options = parser.parse_args(argv)
    die_with(options.parent)
    os.set_inheritable(options.fd, False)
    connection = Connection(options.fd)
    sys.path[:] = connection.recv()
    import torch

    torch.set_num_threads(options.threads)
    preparer = Preparer(options.folder)
    while True:
        try:
            spec, forms = connection.recv()
        except EOFError:
            return 0
        connection.send([preparer.prepare(spec, form) for form in forms])


if __name__ == "__main__":
    sys.exit(main())
