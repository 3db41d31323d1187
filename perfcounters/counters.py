"""`Counters`: events counted around a piece of code."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Literal

from perfcounters import _attach, _difference
from perfcounters._kernel import GroupReader
from perfcounters.errors import CounterStateError, TooManyEventsError
from perfcounters.events import resolve
from perfcounters.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

Scope = Literal["thread", "process", "tree", "cpu"]
Multiplex = Literal["refuse", "scale"]

_forks = 0


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - a child of fork() differs in nothing else that is cheap to read
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class _Session:
    """Groups that are open and running."""

    def __init__(self, groups: Sequence[Sequence[_attach.Prepared]], scope: Scope, *, scale: bool) -> None:
        self.groups = groups
        self.scope = scope
        self.scale = scale
        self.slots, fds, self.threads = _attach.attach(groups, scope)
        self.close = weakref.finalize(self, _attach.close_all, fds)
        self.forks = _forks
        self.reader = GroupReader(
            [slot.leader for slot in self.slots], [len(slot.ids) for slot in self.slots]
        )


class Snapshot:
    """All counters at one moment; the difference of two of the same `Counters` is a `Reading`."""

    __slots__ = ("_buffer", "_session")

    def __init__(self, session: _Session, buffer: Any) -> None:
        self._session = session
        self._buffer = buffer

    def __sub__(self, before: Snapshot) -> Reading:
        """
        Give what was counted between the two.

        Raises:
            CounterStateError: They are not of the same opened `Counters`.
        """
        session = self._session
        if before._session is not session:
            raise CounterStateError("these snapshots are of different counters: there is no difference")
        words = session.reader.words
        return Reading(
            _difference.counts(
                session.groups,
                session.slots,
                session.reader.offsets,
                words(before._buffer),
                words(self._buffer),
                scope=session.scope,
                threads=session.threads,
                scale=session.scale,
            )
        )


class Counters:
    """
    Counts events while a block runs, or between two snapshots.

    ::

        with Counters("instructions", "LLC-misses") as counters:
            f()
        print(counters.reading)

    A `with` of counters that are not open opens and closes them, which costs some 10 µs an event
    and thread; call `open` before to pay that once. Counters run all the time and are only read, so
    sessions may nest and run side by side.

    Args:
        events: Names, see `perfcounters.events`.
        scope: ``thread`` is the calling thread alone; ``process`` all its threads, those that exist
            and those to come; ``tree`` child processes to come too; ``cpu`` everything that runs on
            the machine's CPUs, which needs privileges.
        multiplex: What to do if the events don't fit on the PMU's counters at one time: ``refuse``,
            or ``scale``, which takes turns and estimates.
    """

    def __init__(self, *events: str, scope: Scope = "process", multiplex: Multiplex = "refuse") -> None:
        if not events or len(set(events)) != len(events):
            message = "Counters needs names of events, each once, such as Counters('instructions')"
            raise ValueError(message)
        if scope not in ("thread", "process", "tree", "cpu"):
            message = f"scope is thread, process, tree or cpu, not {scope!r}"
            raise ValueError(message)
        if multiplex not in ("refuse", "scale"):
            message = f"multiplex is refuse or scale, not {multiplex!r}"
            raise ValueError(message)
        self.events = events
        self.scope: Scope = scope
        self.multiplex: Multiplex = multiplex
        self._session: _Session | None = None
        self._opened_by_with = False
        self._entered: list[Snapshot] = []
        self._window: tuple[Snapshot, Snapshot] | None = None

    def open(self) -> Self:
        """
        Open the events on every task of the scope, and start them. Open counters stay as they are.

        Raises:
            EventNameError: A name means nothing.
            EventUnavailableError: This machine does not have an event.
            CounterPermissionError: This user may not count it.
            TooManyEventsError: The events don't fit, and `multiplex` is ``refuse``.
            CounterLimitError: Too few file descriptors.
            AttachError: The process's threads change too fast.
        """
        if self._session is None:
            prepared = [_attach.prepare(resolve(event), self.scope) for event in self.events]
            groups = _attach.arrange(prepared)
            if self.multiplex == "refuse":
                _refuse_turns(groups)
            self._session = _Session(groups, self.scope, scale=self.multiplex == "scale")
        return self

    def close(self) -> None:
        """Stop counting and close all descriptors; closed counters may be opened again."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def snapshot(self) -> Snapshot:
        """
        Read all counters now.

        Raises:
            CounterStateError: They are not open, or were opened before a fork, in the parent.
        """
        session = self._session
        if session is None:
            raise CounterStateError("these counters are not open: call open(), or use them in a with")
        if session.forks != _forks:
            message = "these counters are of the process that forked this one: close() and open() them here"
            raise CounterStateError(message)
        return Snapshot(session, session.reader.read())

    def read(self) -> Reading:
        """
        Give what was counted since the `with` began.

        Raises:
            CounterStateError: Not inside a `with`.
        """
        now = self.snapshot()
        if not self._entered:
            raise CounterStateError("read() counts from the beginning of a with: use it inside of one")
        return now - self._entered[-1]

    @property
    def reading(self) -> Reading:
        """
        What was counted in the last `with` that ended.

        Raises:
            CounterStateError: None has ended.
        """
        if self._window is None:
            raise CounterStateError("there is no reading before the end of a with")
        before, after = self._window
        return after - before

    def __enter__(self) -> Self:
        if self._session is None:
            self.open()
            self._opened_by_with = True
        self._entered.append(self.snapshot())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._window = (self._entered.pop(), self.snapshot())
        if self._opened_by_with and not self._entered:
            self.close()
            self._opened_by_with = False


def _refuse_turns(groups: Sequence[Sequence[_attach.Prepared]]) -> None:
    """Refuse hardware events in more than one group of the same PMU: these would take turns."""
    seen: dict[int, int] = {}
    for group in groups:
        pool = _attach.pool(group[0].event)
        seen[pool] = seen.get(pool, 0) + 1
        if seen[pool] > 1:
            fit = next(len(one) for one in groups if _attach.pool(one[0].event) == pool)
            names = ", ".join(one.event.name for one in group)
            message = (
                f"cannot count all of these events at one time: {fit} fit on the PMU, and not {names}."
                ' Count them in several runs, or estimate with multiplex="scale"'
            )
            raise TooManyEventsError(message, event=group[0].event.name)
