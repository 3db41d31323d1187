"""Which of several events can be counted here, and why the others can't: asked of the kernel, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfcounters import _attach, events
from perfcounters.errors import CounterError, EventNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perfcounters._session import Scope

__all__ = ["countable"]


def countable(names: Iterable[str], *, scope: Scope = "process") -> dict[str, CounterError | None]:
    """
    Tell for each event whether it can be counted: None, or the error that opening it would raise.

    Each is opened once alone and closed again. Whether all fit on the PMU at one time is another
    question, which `Counters.open` answers:

        found = countable(["instructions", "LLC-misses"])
        counters = Counters(*(name for name, error in found.items() if error is None))

    Raises:
        EventNameError: A name means nothing on any machine.
    """
    return {name: _refusal(name, scope) for name in names}


def _refusal(name: str, scope: Scope) -> CounterError | None:
    try:
        _attach.prepare(events.resolve(name), scope)
    except EventNameError:
        raise
    except CounterError as error:
        return error
    return None
