"""Opening events: what this user may count, and on which tasks it is opened."""

from __future__ import annotations

import errno
import resource
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perfcounters import _kernel, _refusals, pmus
from perfcounters.errors import (
    AttachError,
    CounterError,
    CounterLimitError,
    CounterPermissionError,
    EventUnavailableError,
    TooManyEventsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perfcounters._kernel import Encoding
    from perfcounters.events import Event

_INHERITANCE = {
    "thread": 0,
    "process": _kernel.INHERIT | _kernel.INHERIT_THREAD,
    "tree": _kernel.INHERIT,
    "cpu": 0,
}
_SPARE_DESCRIPTORS = 64
_ATTEMPTS = 100


@dataclass(frozen=True)
class Prepared:
    """An event that this user may open, with the flags to open it with; maybe for one kind of cores alone."""

    event: Event
    flags: int
    part: bool = False

    @property
    def exclusions(self) -> tuple[str, ...]:
        """What is not counted."""
        named = ((_kernel.EXCLUDE_KERNEL, "kernel"), (_kernel.EXCLUDE_USER, "user"))
        return tuple(name for flag, name in named if self.flags & flag)


@dataclass(frozen=True)
class Slot:
    """One group opened on one task or CPU: descriptors and ids of its events, in their order."""

    group: int
    fds: tuple[int, ...]
    ids: tuple[int, ...]

    @property
    def leader(self) -> int:
        """Descriptor by which the whole group is enabled and read."""
        return self.fds[0]


def prepare(event: Event, scope: str) -> Prepared:
    """
    Find out by opening it once whether an event can be counted, without the kernel if it must be so.

    Raises:
        CounterError: It can't; the subclass says why.
    """
    if pmus.counts_cpus_only(event.encoding.type) and scope != "cpu":
        message = f'cannot count {event.name} for a {scope}: its PMU counts whole CPUs; use scope="cpu"'
        raise EventUnavailableError(message, event=event.name)
    if scope == "thread" and event.source == "hardware" and (bits := pmus.user_access()):
        with suppress(CounterError):
            encoding = replace(event.encoding, config1=event.encoding.config1 | bits)
            return _opened(replace(event, encoding=encoding), scope)
    return _opened(event, scope)


def _opened(event: Event, scope: str) -> Prepared:
    wished = (event.exclude,) if event.exclude is not None else (0, _kernel.EXCLUDE_KERNEL)
    refusal: OSError | None = None
    for exclude in wished:
        prepared = Prepared(event, exclude | _INHERITANCE[scope])
        try:
            for encoding in event.cores or event.parts or (event.encoding,):
                pid, cpu = targets(encoding, scope, frozenset({0}))[0]
                flags = prepared.flags | _kernel.DISABLED
                _kernel.close(_kernel.open_event(encoding, flags=flags, pid=pid, cpu=cpu))
        except OSError as error:
            refusal = error
            if error.errno not in (errno.EACCES, errno.EPERM):
                break
            continue
        if event.kernel_only and exclude & _kernel.EXCLUDE_KERNEL:
            level = _kernel.paranoid()
            message = (
                f"cannot count {event.name}: it happens in the kernel, and perf_event_paranoid is {level};"
                " it must be 1 or lower. Run: sudo sysctl kernel.perf_event_paranoid=1"
            )
            raise CounterPermissionError(message, event=event.name, paranoid=level)
        return prepared
    if refusal is None:
        raise AssertionError(wished)
    raise _refusals.explain(refusal, event, scope=scope) from refusal


def targets(encoding: Encoding, scope: str, threads: frozenset[int]) -> list[tuple[int, int]]:
    """Give the (pid, cpu) pairs on which an event's group is opened."""
    if scope == "cpu":
        return [(-1, cpu) for cpu in pmus.cpus_of(encoding.pmu)]
    return [(tid, -1) for tid in sorted(threads)]


def attach(
    groups: Sequence[Sequence[Prepared]], scope: str, *, task: int | None = None
) -> tuple[list[Slot], list[int], int]:
    """
    Open all groups, disabled, on every task of the scope, none missed and none twice.

    A thread that is born during the attaching may have inherited the counters or not; so if the
    list of threads changed meanwhile, everything is closed and opened again.

    Args:
        task: A process that waits to execute a program: attach to it alone, and count from there on.

    Returns:
        The slots, all descriptors, and the number of threads (0 for CPUs).

    Raises:
        CounterLimitError: More descriptors are needed than allowed.
        CounterError: The kernel refused; the subclass says why.
        AttachError: Threads come and go too fast.
    """
    for _ in range(_ATTEMPTS):
        every_thread = scope in ("process", "tree") and task is None
        threads = _kernel.threads() if every_thread else frozenset({task or 0})
        fds: list[int] = []
        with _closing_on_error(fds):
            slots = _open_all(groups, scope, threads, fds, on_exec=task is not None)
            still = not every_thread or _kernel.threads() == threads
            if slots is not None and still:
                for slot in slots if task is None else ():
                    _kernel.enable(slot.leader)
                return slots, fds, 0 if scope == "cpu" else len(threads)
        close_all(fds)
    message = (
        f"cannot attach to the threads of this process: some began or ended in each of"
        f" {_ATTEMPTS} attempts. Start counting when the program is calmer"
    )
    raise AttachError(message)


def _open_all(
    groups: Sequence[Sequence[Prepared]],
    scope: str,
    threads: frozenset[int],
    fds: list[int],
    *,
    on_exec: bool,
) -> list[Slot] | None:
    """Open everything; None if a thread ended meanwhile. Descriptors are added to `fds` as they come."""
    everywhere = [targets(group[0].event.encoding, scope, threads) for group in groups]
    _allow_descriptors(sum(len(group) * len(tasks) for group, tasks in zip(groups, everywhere, strict=True)))
    led = _kernel.DISABLED | (_kernel.ENABLE_ON_EXEC if on_exec else 0)
    slots = []
    for i, (group, tasks) in enumerate(zip(groups, everywhere, strict=True)):
        for pid, cpu in tasks:
            members: list[int] = []
            for one in group:
                # Only the leader is disabled: members of mixed software PMUs would lose counts.
                flags = one.flags if members else one.flags | led
                leader = members[0] if members else -1
                try:
                    fd = _kernel.open_event(
                        one.event.encoding, flags=flags, pid=pid, cpu=cpu, group_fd=leader
                    )
                except ProcessLookupError:
                    return None
                except OSError as error:
                    if error.errno == errno.EINVAL and members:
                        raise _too_many(group) from error
                    raise _refusals.explain(error, one.event, scope=scope) from error
                fds.append(fd)
                members.append(fd)
            slots.append(Slot(i, tuple(members), tuple(_kernel.event_id(fd) for fd in members)))
    return slots


def _too_many(group: Sequence[Prepared]) -> TooManyEventsError:
    names = ", ".join(one.event.name for one in group)
    message = f"cannot count {names} at one time: the PMU has too few counters for them. Ask for fewer"
    return TooManyEventsError(message, errno=errno.EINVAL)


def _allow_descriptors(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed + _kernel.open_descriptors() + _SPARE_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or wanted <= soft:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        message = (
            f"cannot count: {needed} file descriptors are needed (events x threads), and with those in use"
            f" that makes {wanted}, over the hard limit of {hard}. Raise it (ulimit -Hn) or ask for"
            " fewer events"
        )
        raise CounterLimitError(message, errno=errno.EMFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _closing_on_error(fds: list[int]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        close_all(fds)
        raise


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors, the last opened first, so that leaders go after their groups."""
    for fd in reversed(fds):
        _kernel.close(fd)
