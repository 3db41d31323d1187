"""
A Dask cluster. A worker that carries the tag, a resource of Dask's, is on the machine that is meant.

Each errand goes to one worker that is chosen here, not by the scheduler: a resource keeps errands of one
worker apart, not those of two workers on one machine. When the worker is gone, the errand goes to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile.cluster.dask_client import CONNECT_WITHIN_S, LOST
from formfn_profile.cluster.dask_workers import LOOK_S, Worker, Workers
from formfn_profile.cluster.dispatch import Answer, Pool
from formfn_profile.cluster.errand import measure
from formfn_profile.errors import FormfnError, MeasurementError
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from distributed import Client, Future

    from formfn_profile.cluster.errand import Description, Errand, Work
    from formfn_profile.progress import Progress

WORKERS_WITHIN_S = 30.0
_DEATHS = 3


@dataclass(frozen=True)
class _UnderWay:
    future: Future[dict[str, Any]]
    errand: Errand
    worker: Worker


class DaskPool(Pool):
    """The workers of a Dask cluster; those that carry the tag may time."""

    def __init__(
        self, client: Client, tag: str, check: Callable[[], None] = lambda: None, *, work: Work = measure
    ) -> None:
        """
        Wait for a worker that carries the tag, for `WORKERS_WITHIN_S`. `check` is called meanwhile.

        Raises:
            MeasurementError: There is none, or the scheduler is gone.
        """
        self._client = client
        self._tag = tag
        self._work = work
        self._workers = Workers(client, tag)
        self._under_way: dict[str, _UnderWay] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._deaths: Counter[int] = Counter()
        self._first = self._await_first(check)

    def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function on a worker that carries the tag."""
        tagged = [worker.address for worker in self._workers.tagged[:1]]
        try:
            return self._client.run(function, *arguments, workers=tagged, **named)[tagged[0]]
        except (OSError, IndexError):
            raise MeasurementError(
                f"the worker with the tag {self._tag} is gone. Run the same again when it is back"
            ) from None

    def timing(self) -> Sequence[Description]:
        """Return what the workers are that carry the tag; the first that came stands first, gone or not."""
        return [self._first, *(worker.what for worker in self._workers.tagged)]

    def allow_timing(self) -> None:
        """Allow it: the tag says on which machine."""

    def run(
        self, errands: Sequence[Errand], check: Callable[[], None], progress: Progress
    ) -> Generator[Answer]:
        """Have errands done; see `Pool.run`."""
        waiting = {errand.number: errand for errand in errands}
        idle_since = None
        try:
            while waiting or self._under_way:
                try:
                    check()
                except KeyboardInterrupt:
                    waiting.clear()
                self._workers.look()
                yield from self._bury(waiting)
                self._hand_out(waiting, progress)
                while self._workers.notes:
                    progress.note(self._workers.notes.pop(0))
                now = time.monotonic()
                idle_since = None if self._under_way or not waiting else (idle_since or now)
                if idle_since is not None and now - idle_since > WORKERS_WITHIN_S:
                    raise MeasurementError(self._stuck(waiting))
                yield from self._answer(waiting)
        except OSError:
            raise MeasurementError(LOST) from None
        finally:
            self._give_up()

    def _await_first(self, check: Callable[[], None]) -> Description:
        end = time.monotonic() + WORKERS_WITHIN_S
        self._workers.look()
        while self._workers.first is None:
            if time.monotonic() > end:
                notes = "".join(f" {note[0].upper()}{note[1:]}." for note in self._workers.notes)
                raise MeasurementError(
                    f"no worker with the tag {self._tag} has come within {WORKERS_WITHIN_S:g} s"
                    f" ({len(self._workers)} without it are there).{notes} {self._how()}"
                )
            check()
            time.sleep(LOOK_S)
            self._workers.look()
        return self._workers.first

    def _how(self) -> str:
        return f"Start one on the machine that is meant: {how(self._client.scheduler.address, self._tag)}"

    def _hand_out(self, waiting: dict[int, Errand], progress: Progress) -> None:
        under_way = [(each.errand, each.worker) for each in self._under_way.values()]
        timing = any(errand.tied for errand in [*waiting.values(), *(errand for errand, _ in under_way)])
        full: set[tuple[object, ...]] = set()
        for errand in list(waiting.values()):
            kind = (errand.tied, *errand.versions.items())
            if kind in full:
                continue
            worker = self._workers.free_for(errand, under_way, timing=timing)
            if worker is None:
                full.add(kind)
                continue
            del waiting[errand.number]
            under_way.append((errand, worker))
            progress.say(str(errand.plan.points[0]), errand.phase)
            self._send(errand, worker)

    def _send(self, errand: Errand, worker: Worker) -> None:
        future = self._client.submit(
            _carried_out,
            self._work,
            errand,
            workers=[worker.address],
            resources={self._tag: 1} if errand.tied else None,
            pure=False,
        )
        self._under_way[future.key] = _UnderWay(future, errand, worker)
        future.add_done_callback(lambda ended: self._ended.put(ended.key))

    def _answer(self, waiting: dict[int, Errand]) -> Iterator[Answer]:
        """Wait for one that has ended, a second at most; what was given up meanwhile is passed over."""
        from distributed import KilledWorker

        try:
            each = self._under_way.pop(self._ended.get(timeout=LOOK_S), None)
        except queue.Empty:
            return
        if each is None:
            return
        if each.future.cancelled():
            raise MeasurementError(LOST)
        errand, worker = each.errand, each.worker
        try:
            record = each.future.result(timeout=CONNECT_WITHIN_S)
        except (KilledWorker, TimeoutError, asyncio.TimeoutError):  # it is gone, its answer with it
            yield from self._died(each, waiting)
        except (FormfnError, PerfCountersError) as error:
            worker.refuses.add(errand.tied)
            waiting[errand.number] = errand
            what = "timed" if errand.tied else "simulated"
            said = f"the worker {worker.address} gets no more to be {what}: {error}"
            self._workers.notes.append(said)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this point alone
            yield Answer(errand, worker.what.machine, reason=f"{type(error).__name__}: {error}")
        else:
            yield Answer(errand, worker.what.machine, record)

    def _bury(self, waiting: dict[int, Errand]) -> Iterator[Answer]:
        """Take back what workers had that are gone."""
        for key, each in list(self._under_way.items()):
            if each.worker not in self._workers:
                del self._under_way[key]
                self._client.cancel([each.future])
                yield from self._died(each, waiting)

    def _died(self, each: _UnderWay, waiting: dict[int, Errand]) -> Iterator[Answer]:
        number, address = each.errand.number, each.worker.address
        self._deaths[number] += 1
        if self._deaths[number] == _DEATHS:
            reason = f"given up: {_DEATHS} workers have died that had it, the last {address}"
            yield Answer(each.errand, each.worker.what.machine, reason=reason)
        else:
            waiting[number] = each.errand
            said = f"the worker {address} is gone; {each.errand.plan.points[0]} goes to another"
            self._workers.notes.append(said)

    def _stuck(self, waiting: Mapping[int, Errand]) -> str:
        timed = sum(errand.tied for errand in waiting.values())
        left = f"{timed} points to be timed and {len(waiting) - timed} to be simulated"
        return (
            f"for {WORKERS_WITHIN_S:g} s no worker was there that may have what is left: {left}. Every"
            f" finished record is kept. {self._how()}, and run the same again"
        )

    def _give_up(self) -> None:
        futures = [each.future for each in self._under_way.values()]
        self._under_way.clear()
        if futures and self._client.status == "running":
            with contextlib.suppress(OSError):
                self._client.cancel(futures)


def how(address: str, tag: str) -> str:
    """Return the command that starts a worker which may time."""
    return f"dask worker {address} --resources {tag}=1"


def _carried_out(work: Work, errand: Errand) -> dict[str, Any]:
    """Do an errand in a worker, until it is done or nobody waits for it any more."""
    from distributed import get_worker

    _undo_environment()
    worker = get_worker()
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise MeasurementError("nobody waits for this point any more")

    return work(errand, check)


def _undo_environment() -> None:
    """
    Take back what Dask's nanny sets for its workers, which what they start would inherit: glibc that gives
    memory back at every call, for one, makes PyTorch slower than it is elsewhere.
    """
    import dask

    for name, value in dask.config.get("distributed.nanny.pre-spawn-environ").items():
        if os.environ.get(name) == str(value):
            del os.environ[name]
