"""Any `concurrent.futures.Executor`: it says neither what its workers are nor where."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from concurrent.futures import TimeoutError as OutOfTimeError
from typing import TYPE_CHECKING, Any

from formfn_profile.cluster.dispatch import Answer, Pool
from formfn_profile.cluster.errand import describe, measure, other_versions
from formfn_profile.errors import FormfnError, MeasurementError
from formfn_profile.measuring.machine import software
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from formfn_profile.cluster.errand import Description, Errand, Work
    from formfn_profile.progress import Progress

ANSWERS_WITHIN_S = 30.0
_LOOK_S = 1.0


def go_on() -> None:
    """Never give an errand up: an executor has no way to say that it was."""


class PlainPool(Pool):
    """
    An executor's workers.

    What is timed goes out one at a time, before all else and with nothing beside it. Then the executor gets
    all that is simulated, and does as much of it at once as it has workers.
    """

    def __init__(self, executor: Executor, *, timed_anywhere: bool = False, work: Work = measure) -> None:
        """
        Ask one worker what it is.

        Raises:
            MeasurementError: None answers, or it has another version of this package.
        """
        self._executor = executor
        self._timed_anywhere = timed_anywhere
        self._work = work
        self._worker: Description = self.ask(describe)
        ours = {"formfn_profile": software()["formfn_profile"]}
        if said := other_versions(self._worker.versions, ours):
            raise MeasurementError(f"a worker of the executor cannot measure: {said}")

    def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function on some worker."""
        future = self._executor.submit(function, *arguments, **named)
        try:
            return future.result(timeout=ANSWERS_WITHIN_S)
        except OutOfTimeError:
            future.cancel()
            raise MeasurementError(
                f"no worker of the executor answered within {ANSWERS_WITHIN_S:g} s. Give one whose workers"
                " are there and free"
            ) from None
        except BrokenExecutor as error:
            raise _broken(error) from None

    def timing(self) -> Sequence[Description]:
        """Return what the worker is that was asked: all are taken to be on its machine."""
        return (self._worker,)

    def allow_timing(self) -> None:
        """Refuse, unless the user has said that it does not matter which worker times."""
        if not self._timed_anywhere:
            raise MeasurementError(
                "an executor does not say on which machine a worker is, and points are to be timed. Say"
                " timed_anywhere=True if all its workers are on the one that is meant, or give a Dask client"
                " and a machine_tag"
            )

    def run(
        self, errands: Sequence[Errand], check: Callable[[], None], progress: Progress
    ) -> Generator[Answer]:
        """Have errands done; see `Pool.run`."""
        waiting = deque(errands)
        under_way: dict[Future[dict[str, Any]], Errand] = {}
        try:
            while waiting or under_way:
                try:
                    check()
                except KeyboardInterrupt:
                    waiting.clear()
                    _cancel(under_way)
                while waiting and _may_start(waiting[0], under_way):
                    errand = waiting.popleft()
                    progress.say(str(errand.plan.points[0]), errand.phase)
                    under_way[self._executor.submit(self._work, errand, go_on)] = errand
                done, _ = wait(under_way, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    yield self._answer(under_way.pop(future), future)
        finally:
            _cancel(under_way)

    def _answer(self, errand: Errand, future: Future[dict[str, Any]]) -> Answer:
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise _broken(error)
        if isinstance(error, (FormfnError, PerfCountersError)):
            raise error
        if error is not None:
            return Answer(errand, self._worker.machine, reason=f"{type(error).__name__}: {error}")
        return Answer(errand, self._worker.machine, future.result())


def _may_start(errand: Errand, under_way: dict[Future[dict[str, Any]], Errand]) -> bool:
    return not under_way if errand.tied else not any(each.tied for each in under_way.values())


def _cancel(under_way: dict[Future[dict[str, Any]], Errand]) -> None:
    """Take back what no worker has begun."""
    for future in [future for future in under_way if future.cancel()]:
        del under_way[future]


def _broken(error: BrokenExecutor) -> MeasurementError:
    return MeasurementError(
        f"the executor is broken: {error} Every finished record is kept: run the same again with a new one"
    )
