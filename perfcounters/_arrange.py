"""Putting events into as few groups as the PMU can place at one time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from perfcounters import _kernel, pmus
from perfcounters._attach import Prepared, close_all, targets
from perfcounters._names import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perfcounters.events import Event

# Some turns of those that share the PMU's counters, 4 ms each (perf_event_mux_interval_ms).
_PATIENCE_S = 0.02


def arrange(prepared: Sequence[Prepared], scope: str) -> tuple[tuple[Prepared, ...], ...]:
    """
    Put events into as few groups as the PMU can place, those that make ratios first and together.

    The kernel says whether a group fits only if its leader is enabled, so it is asked with one.
    """
    ratio_first = ("instructions", "cycles", "LLC-misses", "LLC-references")
    ordered = sorted(
        prepared,
        key=lambda p: ratio_first.index(name) if (name := canonical(p.event.name)) in ratio_first else 9,
    )
    pools: dict[int, list[Prepared]] = {}
    for one in (part for whole in ordered for part in _parts(whole)):
        pools.setdefault(pool(one.event), []).append(one)
    groups: list[tuple[Prepared, ...]] = []
    for kind, members in pools.items():
        if kind == _kernel.TYPE_SOFTWARE:
            groups.append(tuple(members))
        else:
            groups.extend(_fitting(members, scope))
    return tuple(groups)


def _parts(whole: Prepared) -> list[Prepared]:
    """Give an event for each kind of cores, or for each PMU that shares the counting; itself else."""
    event = whole.event
    return [
        Prepared(replace(event, encoding=encoding), whole.flags, part=bool(event.cores))
        for encoding in event.cores or event.parts
    ] or [whole]


def pool(event: Event) -> int:
    """Name the set of counters that an event uses; events of different ones never share a group."""
    kind = event.encoding.pmu
    if kind in (_kernel.TYPE_SOFTWARE, _kernel.TYPE_BREAKPOINT):
        return _kernel.TYPE_SOFTWARE
    alone = kind in pmus.core_types() and len(pmus.core_types()) == 1
    generic = kind in (_kernel.TYPE_HARDWARE, _kernel.TYPE_HW_CACHE)
    return _kernel.TYPE_RAW if generic or alone else kind


def _fitting(members: Sequence[Prepared], scope: str) -> Iterator[tuple[Prepared, ...]]:
    group: list[Prepared] = []
    fds: list[int] = []
    try:
        for one in members:
            fits = _joins(one, fds, scope)
            if not fits and group:
                yield tuple(group)
                close_all(fds)
                group.clear()
                fds.clear()
                _joins(one, fds, scope)
            group.append(one)
        yield tuple(group)
    finally:
        close_all(fds)


def _joins(one: Prepared, fds: list[int], scope: str) -> bool:
    """Open an event in the group of `fds`, and add it there if it fits."""
    pid, cpu = targets(one.event.encoding, scope, frozenset({0}))[0]
    leader = fds[0] if fds else -1
    try:
        fd = _kernel.open_event(one.event.encoding, flags=one.flags, pid=pid, cpu=cpu, group_fd=leader)
    except OSError:
        return False
    # A kind of cores that this thread is not on at the moment would not run either.
    if not one.part and scope != "cpu" and not _runs([*fds, fd]):
        _kernel.close(fd)
        return False
    fds.append(fd)
    return True


def _runs(fds: Sequence[int]) -> bool:
    """
    Tell whether a group that opened is on the PMU, too.

    The kernel reckons with all counters of the processor, of which others may hold some for themselves,
    such as the NMI watchdog: the group then opens and never runs. Of others that only take turns with it
    it is waited for.
    """
    end = time.monotonic() + _PATIENCE_S
    _, before = _kernel.group_times(fds[0], len(fds))
    while True:
        _, running = _kernel.group_times(fds[0], len(fds))
        if running > before:
            return True
        if time.monotonic() > end:
            return False
