"""
Running jobs on workers: a worker process is of one backend, kept for all its jobs, replaced when it dies.

With one slot the jobs run in the order given, one at a time, whichever backend each belongs to: that is
how timed points are interleaved and left alone on the machine. With more slots, workers work side by side.
"""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from formfn_profile.measuring.launcher import Launcher, Worker
from formfn_profile.measuring.messages import Job, MessageError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_LOOK_S = 1.0  # a dead worker's child may hold its socket open: then only asking after the process tells
_ROOM = 4 << 30  # bytes
_STILLBORN = 2  # deaths before "ready", one after another, that make another try pointless

Said = Callable[[Job, str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a `result`, or the `reason` for none; `skipped` if it cannot be had here."""

    job: Job
    result: dict[str, Any] | None
    reason: str | None = None
    skipped: bool = False


class Crew:
    """
    The workers of one launcher. A context manager: leaving it, for whatever cause, leaves no process
    behind.
    """

    def __init__(
        self,
        launcher: Launcher,
        said: Said,
        check: Callable[[], None] = lambda: None,
        time_limit: float | None = None,
    ) -> None:
        """
        A job that takes longer than `time_limit` seconds is given up, its worker killed. `said` hears of
        each stage that a job enters; it is never called between the timed calls of a job. `check` is
        called about once a second; what it raises ends the run, a KeyboardInterrupt once no job is under way.
        """
        self.workers: list[Worker] = []
        self._launcher = launcher
        self._said = said
        self._check = check
        self._time_limit = time_limit
        self._deadlines: dict[Worker, float] = {}
        self._stillborn: dict[str, int] = {}

    def run(self, jobs: Sequence[Job], slots: int = 1, alike: int = 1) -> Iterator[Outcome]:
        """
        Do `jobs`, at most `slots` at once and `alike` of one backend, and yield each outcome as it comes.

        A worker that dies costs the job it had; the next job of its backend gets a new worker. After Ctrl-C
        no job is begun, and those under way are finished.
        """
        waiting = list(jobs)
        while waiting or self._busy():
            try:
                self._check()
            except KeyboardInterrupt:
                waiting.clear()
            yield from self._hand_out(waiting, slots, alike)
            if self._busy():
                yield from self._listen()
        self._check()

    def __enter__(self) -> Self:
        """Return the crew; workers start with their first job."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every worker: at once if this is left by an exception."""
        for worker in self.workers:
            if kind is not None:
                worker.kill()
            worker.close()
        self.workers.clear()

    def _busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.job]

    def _hand_out(self, waiting: list[Job], slots: int, alike: int) -> Iterator[Outcome]:
        for job in list(waiting):
            if len(self._busy()) >= slots:
                return
            own = [worker for worker in self.workers if worker.backend == job.backend]
            free = [worker for worker in own if not worker.job]
            if len(own) - len(free) >= alike or (own and not free and not _room()):
                continue
            worker = free[0] if free else None
            if worker and not worker.alive():
                self._dismiss(worker)
                worker = None
            waiting.remove(job)
            if self._stillborn.get(job.backend, 0) >= _STILLBORN:
                yield Outcome(
                    job, None, f"not tried: the {job.backend} worker died {_STILLBORN} times while starting"
                )
                continue
            if not worker:
                self._said(job, "starting the worker")
                worker = Worker(self._launcher, job.backend)
                self.workers.append(worker)
            if self._time_limit is not None:
                self._deadlines[worker] = time.monotonic() + self._time_limit
            worker.send(job)

    def _listen(self) -> Iterator[Outcome]:
        with selectors.DefaultSelector() as selector:
            for worker in self._busy():
                selector.register(worker.channel, selectors.EVENT_READ, worker)
            heard = {key.data for key, _ in selector.select(_LOOK_S)}
        for worker in self._busy():
            gone = not worker.alive()
            try:
                messages, more = worker.messages() if worker in heard else ((), True)
                for message in messages:
                    yield from self._take(worker, message)
            except MessageError as error:
                yield from self._give_up(worker, f"the worker {error}")
                continue
            if not more or (gone and worker not in heard):
                yield from self._bury(worker)
            elif worker.job and time.monotonic() > self._deadlines.get(worker, math.inf):
                yield from self._give_up(
                    worker, f"it took longer than the time limit of {self._time_limit:g} s"
                )

    def _give_up(self, worker: Worker, why: str) -> Iterator[Outcome]:
        job = worker.job
        self._dismiss(worker)
        if job is not None:  # else it answered first: the answer stands
            yield Outcome(job, None, f"given up: {why}")

    def _take(self, worker: Worker, message: dict[str, Any]) -> Iterator[Outcome]:
        job, kind = worker.job, message.get("kind")
        if kind == "ready":
            worker.ready = True
        elif job is not None and message.get("job") == job.id:
            if kind == "stage":
                self._said(job, str(message.get("stage")))
                return
            result = message.get("result")
            if kind not in ("done", "failed", "skipped") or (kind == "done") != isinstance(result, dict):
                raise MessageError(f"sent no answer but {str(message)[:40]!r}")
            worker.job = None
            self._stillborn.pop(job.backend, None)
            reason = None if kind == "done" else str(message.get("reason"))
            yield Outcome(job, result, reason, skipped=kind == "skipped")

    def _bury(self, worker: Worker) -> Iterator[Outcome]:
        job, reason = worker.job, worker.death()
        self._dismiss(worker)
        if job is None:  # it answered first: the answer stands
            return
        if not worker.ready:
            self._stillborn[job.backend] = self._stillborn.get(job.backend, 0) + 1
        yield Outcome(job, None, reason)

    def _dismiss(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self._deadlines.pop(worker, None)
        worker.kill()
        worker.close()


def _room() -> bool:
    """Whether there is memory for one more worker."""
    return bool(psutil.virtual_memory().available >= _ROOM)
