"""A plan carried out by the workers of a pool: errands out, records in, each as soon as it is there."""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from formfn_profile.brief import brief
from formfn_profile.cluster.errand import Errand
from formfn_profile.errors import MeasurementError, ResultsError
from formfn_profile.execution import new_run, record_of
from formfn_profile.results import MACHINE, OWN_SOFTWARE, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from formfn_profile.cluster.errand import Description
    from formfn_profile.plan import Plan, Task
    from formfn_profile.progress import Progress


@dataclass(frozen=True)
class Answer:
    """What became of an errand on a machine: the `record` as a mapping, or the `reason` for none."""

    errand: Errand
    machine: Mapping[str, Any]
    record: Mapping[str, Any] | None = None
    reason: str | None = None


class Pool(ABC):
    """The workers that an executor or a cluster has."""

    @abstractmethod
    def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function on a machine that points are timed on, and return what it returns."""

    @abstractmethod
    def timing(self) -> Sequence[Description]:
        """Return what the workers are on whose machines points are timed: one at least."""

    @abstractmethod
    def allow_timing(self) -> None:
        """
        Let points be timed.

        Raises:
            MeasurementError: Nothing says on which machine.
        """

    @abstractmethod
    def run(
        self, errands: Sequence[Errand], check: Callable[[], None], progress: Progress
    ) -> Generator[Answer]:
        """
        Have errands done and yield each answer as it comes. `check` is called about once a second: after a
        KeyboardInterrupt no errand is begun, and those under way are finished. Closing the iterator gives up
        all that are not done.

        Raises:
            MeasurementError: There is no worker that may do what is left.
        """

    def study(self, plan: Plan, earlier: Collection[Record], check: Callable[[], None]) -> Dispatch:
        """Return what is to be done of a plan, `earlier` records being there already."""
        return Dispatch(self, plan, earlier, check)


@dataclass
class Dispatch:
    """
    A plan being carried out by a pool.

    What is timed or counted by hardware is done where one of the pool's machines has a record of it; what is
    simulated, where any machine has, with the same software.
    """

    pool: Pool
    plan: Plan
    earlier: Collection[Record] = ()
    check: Callable[[], None] = lambda: None
    run_id: str = field(default_factory=new_run)

    def __post_init__(self) -> None:
        if self.plan.against:
            raise MeasurementError(
                "another interpreter takes turns with ours on one machine (against), which an executor's"
                " workers do not. Leave one of the two out"
            )
        if any(task.phase.tied for task in self.left):
            self.pool.allow_timing()

    @cached_property
    def left(self) -> list[Task]:
        """The tasks of the plan that are not done."""
        workers = self.pool.timing()
        software = workers[0].versions
        timing = [worker.machine for worker in workers]
        simulating = [{**each.machine, **software} for each in self.earlier if each.launcher == "llcsim"]
        machines = {True: _different(timing), False: _different([*timing, *simulating])}
        done = {record.identity for record in self.earlier if record.status != "failed"}

        def is_done(task: Task) -> bool:
            return any(
                record_of(task, self.plan, self.run_id, machine).identity in done
                for machine in machines[task.phase.tied]
            )

        return [task for task in self.plan.tasks() if not is_done(task)]

    def ready(self, progress: Progress) -> None:
        """Leave it to the workers: each builds what it needs."""

    def records(self, progress: Progress) -> Generator[tuple[Task, Record]]:
        """
        Yield each record, with the task it is of, as soon as it has come. What fails is a record with the
        reason. Closing the iterator gives up what workers have not done.

        Raises:
            MeasurementError: There is no worker that may do what is left.
        """
        versions = self.pool.timing()[0].versions
        errands = [
            Errand.of(task, number, self.plan, self.run_id, versions) for number, task in enumerate(self.left)
        ]
        with contextlib.closing(self.pool.run(errands, self.check, progress)) as answers:
            for answer in answers:
                task = self.left[answer.errand.number]
                record = self._record(task, answer)
                ended = task.phase.name
                if record.status != "ok":
                    ended = f"{ended}: {brief(record.reason)}"
                progress.done(str(task.point), ended, failed=record.status == "failed")
                yield task, record
        self.check()

    def _record(self, task: Task, answer: Answer) -> Record:
        reason = answer.reason
        if answer.record is not None:
            try:
                record = Record.from_dict(answer.record)
            except ResultsError as error:
                reason = f"the worker's answer is no record: {error}"
            else:
                asked = record_of(task, self.plan, self.run_id, record.machine)
                if record.identity == asked.identity:
                    return record
                reason = (
                    f"the worker's answer is a record of something else: {record.title}, {record.backend}"
                )
        return record_of(task, self.plan, self.run_id, answer.machine, status="failed", reason=reason)


def _different(machines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one of each kind that records tell apart."""
    names = [*MACHINE, *itertools.chain(*OWN_SOFTWARE.values())]
    return list({tuple(str(each.get(name)) for name in names): each for each in machines}.values())
