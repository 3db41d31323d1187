"""A session: groups that are open and running, and what is read of them."""

from __future__ import annotations

import errno
import os
import weakref
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from perfcounters import _attach, _difference, pmus
from perfcounters._kernel import TYPE_BREAKPOINT, TYPE_SOFTWARE, GroupReader
from perfcounters.errors import CounterStateError
from perfcounters.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

Scope = Literal["thread", "process", "tree", "cpu"]


class Session:
    """Groups that are open and running."""

    def __init__(
        self,
        groups: Sequence[Sequence[_attach.Prepared]],
        scope: Scope,
        *,
        scale: bool,
        task: int | None = None,
    ) -> None:
        self.groups = groups
        self.scope = scope
        self.scale = scale
        self.slots, fds, self.threads = _attach.attach(groups, scope, task=task)
        self.overhead: Reading | None = None
        self.reader = GroupReader(
            [slot.leader for slot in self.slots],
            [slot.ids for slot in self.slots],
            [slot.fds for slot in self.slots] if _in_user_space(groups, scope) else (),
            own=scope == "thread" and task is None,
        )
        self.close = weakref.finalize(self, _close, self.reader, fds)
        self.of_the_parent = False
        _open.add(self)

    def read(self) -> Any:
        """
        Read all counters into a buffer of its own.

        Raises:
            CounterStateError: They were opened before a fork, in the parent.
        """
        reader = self.reader
        buffer = reader.new_buffer()
        result = reader.read_into(reader.target, buffer)
        if result:
            self.failed(result)
        return buffer

    def failed(self, result: int) -> NoReturn:
        """Raise what a read answered, -errno."""
        if result == -errno.EXDEV:
            message = "these counters count the thread that opened them: open others in this thread"
            raise CounterStateError(message)
        if self.of_the_parent:
            message = "these counters are of the process that forked this one: close() and open() them here"
            raise CounterStateError(message)
        raise OSError(-result, os.strerror(-result))


def _in_user_space(groups: Sequence[Sequence[_attach.Prepared]], scope: Scope) -> bool:
    """Tell whether to try without system calls: only for a thread's own events, on a PMU."""
    if scope != "thread":
        return False
    kinds = {one.event.encoding.type for group in groups for one in group}
    return not kinds & {TYPE_SOFTWARE, TYPE_BREAKPOINT} and pmus.read_in_user_space()


def _close(reader: GroupReader, fds: Sequence[int]) -> None:
    reader.unmap()
    _attach.close_all(fds)


_open: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    """In a child, descriptors that came with it count its parent."""
    for session in _open:
        session.of_the_parent = True
        session.reader.forget()


os.register_at_fork(after_in_child=_after_fork)


class Snapshot:
    """All counters at one moment; the difference of two of the same `Counters` is a `Reading`."""

    __slots__ = ("_buffer", "_session")

    def __init__(self, session: Session, buffer: Any) -> None:
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
