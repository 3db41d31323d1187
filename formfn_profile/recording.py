"""A study carried out with each record on disk before the next is begun."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from formfn_profile import store
from formfn_profile.progress import Progress
from formfn_profile.results import standing
from formfn_profile.store import Store

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from formfn_profile.cluster import Here
    from formfn_profile.cluster.dispatch import Dispatch, Pool
    from formfn_profile.execution import Study
    from formfn_profile.plan import Plan, Task
    from formfn_profile.results import Record


def recorded(
    study: Study | Dispatch, stores: Mapping[str | None, Store], why: str, progress: Progress
) -> Generator[tuple[Task, Record]]:
    """
    Measure what is left of a study and yield each record with its task, once its line is on disk.

    `stores` are where records go by the interpreter that measured them, None being this one; those of an
    interpreter that has none are kept nowhere. `why` is why the counts come from where they do.

    Raises:
        ResultsError: A record cannot be written.
        MeasurementError: No worker of a cluster can measure what is left.
        PerfCountersError: The simulator cannot be built.
    """
    study.ready(progress)
    notices = [store.notice for store in stores.values()]
    for line in filter(None, (*notices, f"Counts: {study.plan.counters}. {why}")):
        progress.note(line)
    with contextlib.closing(study.records(progress)) as found:
        for task, record in found:
            if task.phase.interpreter in stores:
                stores[task.phase.interpreter].append(record)
            yield task, record


@contextlib.contextmanager
def opened(
    study: Study | Dispatch, files: Mapping[str | None, Path], why: str, *, quiet: bool = False
) -> Iterator[Iterator[tuple[Task, Record]]]:
    """
    Open the files that records go to, by interpreter as `recorded` has them, and give the records that it
    yields. How far it has come is said, unless `quiet`.

    Raises:
        ResultsError: A file cannot be written, or another process is writing it.
    """
    with contextlib.ExitStack() as stack:
        stores = {interpreter: stack.enter_context(Store(path)) for interpreter, path in files.items()}
        progress = stack.enter_context(contextlib.closing(Progress(len(study.left), quiet=quiet)))
        yield stack.enter_context(contextlib.closing(recorded(study, stores, why, progress)))


def measured(plan: Plan, why: str, path: Path | None, where: Here | Pool, *, quiet: bool) -> list[Record]:
    """
    Carry out what is left of a plan and return all of its records: those that the file `path` holds and the
    new ones, which are appended to it. Without a file they are in memory alone.

    Raises:
        ResultsError: The file cannot be read or written.
        FormfnError: It cannot be measured as asked.
    """
    records = store.load(path) if path and path.exists() else []
    study = where.study(plan, records, lambda: None)
    with opened(study, {None: path} if path else {}, why, quiet=quiet) as found:
        records += [record for _, record in found]
    return standing(records)
