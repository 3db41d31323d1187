"""
Measuring on other machines: the tasks of a plan as errands for the workers of an executor.

What is timed or counted by hardware goes to workers that are known to be on the machine that is meant, one
at a time and with nothing of ours beside it; what is simulated goes to any.
"""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeAlias

from formfn_profile.cluster.plain import PlainPool
from formfn_profile.errors import MeasurementError
from formfn_profile.execution import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from distributed import Client

    from formfn_profile.cluster.dispatch import Pool
    from formfn_profile.plan import Plan
    from formfn_profile.results import Record

    AnyExecutor: TypeAlias = Executor | Client | str


class Here:
    """This machine, where there is no executor."""

    def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function on the machine that points are timed on: this one."""
        return function(*arguments, **named)

    def study(self, plan: Plan, earlier: Collection[Record], check: Callable[[], None]) -> Study:
        """Return what is to be done of a plan, `earlier` records being there already."""
        return Study(plan, check, {record.identity for record in earlier if record.status != "failed"})


@contextlib.contextmanager
def opened(
    executor: AnyExecutor | None,
    machine_tag: str | None = None,
    *,
    timed_anywhere: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Here | Pool]:
    """
    Give what carries plans out: this machine, or the workers of an executor.

    Args:
        executor: Any `concurrent.futures.Executor`, a Dask client, "dask://HOST:PORT", or None.
        machine_tag: The Dask resource of the workers that may time; an executor of another kind has none.
        timed_anywhere: An executor's workers may time, whichever does.
        check: Called about once a second while workers are awaited; it may raise.

    Raises:
        MeasurementError: It cannot be reached, its workers are not there or do not suit, or there are no tags
            where some are given, or none given where there are.
    """
    if executor is None:
        if machine_tag is not None or timed_anywhere:
            raise MeasurementError("there is no executor whose workers could be chosen: name one, or no tag")
        yield Here()
    elif isinstance(executor, Executor):
        if machine_tag is not None:
            raise MeasurementError(
                f"an executor's workers carry no tag, such as {machine_tag}: give a Dask client, or say"
                " timed_anywhere=True if they are all on the machine that is meant"
            )
        yield PlainPool(executor, timed_anywhere=timed_anywhere)
    else:
        from formfn_profile.cluster import dask_client, dask_pool

        loaded = sys.modules.get("distributed")
        if not isinstance(executor, str) and not (loaded and isinstance(executor, loaded.Client)):
            raise MeasurementError(
                f"cannot measure on {executor!r}: give a concurrent.futures.Executor, a Dask client, or its"
                " scheduler as dask://HOST:PORT"
            )
        if machine_tag is None or timed_anywhere:
            raise MeasurementError(
                "a cluster's workers may be on any machine: name the tag of those that may time (machine tag"
                f" NAME), each started by: {dask_pool.how('HOST:PORT', 'NAME')}"
            )
        with dask_client.connected(executor) as client:
            yield dask_pool.DaskPool(client, machine_tag, check)
