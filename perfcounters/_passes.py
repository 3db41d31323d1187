"""Events that don't fit on the PMU at one time: refused, or counted in several passes over a call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perfcounters import _arrange, _attach
from perfcounters._session import Scope, Session, Snapshot
from perfcounters.errors import TooManyEventsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from perfcounters.reading import Count, Reading


def refuse_turns(groups: Sequence[Sequence[_attach.Prepared]]) -> None:
    """Refuse hardware events in more than one group of the same PMU: these would take turns."""
    seen: dict[int, int] = {}
    for group in groups:
        pool = _arrange.pool(group[0].event)
        seen[pool] = seen.get(pool, 0) + 1
        if seen[pool] > 1:
            fit = next(len(one) for one in groups if _arrange.pool(one[0].event) == pool)
            names = ", ".join(one.event.name for one in group)
            message = (
                f"cannot count all of these events at one time: {fit} fit on the PMU, and not {names}."
                ' Count them in several calls by multiplex="passes" and measure(), or estimate with'
                ' multiplex="scale"'
            )
            raise TooManyEventsError(message, event=group[0].event.name)


def turns(groups: Sequence[Sequence[_attach.Prepared]]) -> list[list[Sequence[_attach.Prepared]]]:
    """Deal groups out to turns, so that those of one PMU never meet."""
    turns: list[list[Sequence[_attach.Prepared]]] = []
    dealt: dict[int, int] = {}
    for group in groups:
        turn = dealt.get(_arrange.pool(group[0].event), 0)
        dealt[_arrange.pool(group[0].event)] = turn + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(group)
    return turns


def one_pass(
    groups: Sequence[Sequence[_attach.Prepared]], scope: Scope, function: Callable[[], object]
) -> Reading:
    session = Session(groups, scope, scale=False)
    try:
        before = Snapshot(session, session.read())
        function()
        after = Snapshot(session, session.read())
    finally:
        session.close()
    return after - before


def in_order(events: Sequence[str], passes: Iterable[Reading]) -> Iterator[Count]:
    """Give the counts of all passes in the order asked for, groups numbered on from pass to pass."""
    counts: dict[str, Count] = {}
    for reading in passes:
        first = 1 + max((count.group for count in counts.values()), default=-1)
        counts.update((count.event, replace(count, group=first + count.group)) for count in reading)
    return (counts[event] for event in events)
