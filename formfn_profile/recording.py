"""A study carried out with each record on disk before the next is begun."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from formfn_profile.execution import Study
    from formfn_profile.plan import Task
    from formfn_profile.progress import Progress
    from formfn_profile.results import Record
    from formfn_profile.store import Store


def recorded(
    study: Study, stores: Mapping[str | None, Store], why: str, progress: Progress
) -> Generator[tuple[Task, Record]]:
    """
    Measure what is left of a study and yield each record with its task, once its line is on disk.

    `stores` are where records go by the interpreter that measured them, None being this one; those of an
    interpreter that has none are kept nowhere. `why` is why the counts come from where they do.

    Raises:
        ResultsError: A record cannot be written.
        PerfCountersError: The simulator cannot be built.
    """
    if study.plan.counters == "simulated":
        from perfcounters import simulator

        simulator.ensure_built(progress=progress.note)
    notices = [store.notice for store in stores.values()]
    for line in filter(None, (*notices, f"Counts: {study.plan.counters}. {why}")):
        progress.note(line)
    with contextlib.closing(study.records(progress)) as found:
        for task, record in found:
            if task.phase.interpreter in stores:
                stores[task.phase.interpreter].append(record)
            yield task, record
