"""A session: groups that are open and running, and what is read of them."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Literal

from perfcounters import _attach, _difference
from perfcounters._kernel import GroupReader
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
        self.close = weakref.finalize(self, _attach.close_all, fds)
        self.overhead: Reading | None = None
        self.reader = GroupReader(
            [slot.leader for slot in self.slots], [len(slot.ids) for slot in self.slots]
        )
        self.read = self.reader.read
        _open.add(self)


_open: weakref.WeakSet[Session] = weakref.WeakSet()


def _of_the_parent() -> Any:
    message = "these counters are of the process that forked this one: close() and open() them here"
    raise CounterStateError(message)


def _after_fork() -> None:
    """In a child, descriptors that came with it count its parent."""
    for session in _open:
        session.read = _of_the_parent


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
