"""From two reads of the same groups to counts: by id, summed over threads, never guessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfcounters._validation import validated
from perfcounters.reading import Count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perfcounters._attach import Prepared, Slot

_IMPOSSIBLE = 1 << 63
# More than any processor can count: 1,000 events in a nanosecond.
_IMPOSSIBLE_RATE = 1000
_IMPOSSIBLE_ALLOWANCE = 1_000_000
# Moving a thread between kinds of cores costs moments in which neither PMU counts it.
_RAN_ALL_THE_TIME = 0.99
_NEVER_RAN = (
    "it never ran on the PMU: its group needs more counters than are free (the NMI watchdog holds one:"
    " sudo sysctl kernel.nmi_watchdog=0)"
)


@dataclass
class _Sum:
    raw: int = 0
    value: int = 0
    enabled: int = 0
    running: int = 0
    scaled: bool = False
    reasons: list[str] = field(default_factory=list)


def counts(
    groups: Sequence[Sequence[Prepared]],
    slots: Sequence[Slot],
    offsets: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    *,
    scope: str,
    threads: int,
    scale: bool,
) -> Iterator[Count]:
    """
    Give each event's count between two reads.

    Args:
        slots: What was read, slot i from word offsets[i] on.
        scale: Estimate what was counted only part of the time; otherwise it is None.
    """
    sums = [[_Sum() for _ in group] for group in groups]
    for slot, start in zip(slots, offsets, strict=False):
        _add(groups[slot.group], sums[slot.group], slot, before, after, start)
    wholes: dict[str, tuple[int, Prepared, _Sum]] = {}
    for number, (group, totals) in enumerate(zip(groups, sums, strict=True)):
        for one, total in zip(group, totals, strict=True):
            if one.event.name in wholes:
                _merge(wholes[one.event.name][2], total, either=one.part)
            else:
                wholes[one.event.name] = (number, one, total)
    for number, one, total in wholes.values():
        if one.part:
            _estimate(total)
        reason = _reason(one, total, scale=scale)
        yield Count(
            event=one.event.name,
            value=None if reason else total.value * one.event.factor,
            encoding=one.event.shown,
            source=one.event.source,
            scope=scope,
            time_enabled_ns=max(0, total.enabled),
            time_running_ns=max(0, total.running),
            scaled=total.scaled and not reason,
            exclusions=one.exclusions,
            threads=threads,
            definition=one.event.definition,
            reason=reason,
            raw=None if total.reasons else total.raw,
            group=number,
            pmu=one.event.pmu,
            unit=one.event.unit,
            scale=one.event.scale,
            validated=validated(one.event.name, one.event.shown),
        )


def _merge(whole: _Sum, part: _Sum, *, either: bool) -> None:
    """
    Add another part of an event.

    Args:
        either: Another kind of cores: a thread runs on one at a time, so that running times add up to
            the time enabled. Else another PMU that counts its share all the time.
    """
    whole.raw += part.raw
    whole.value += part.value
    whole.running += part.running
    whole.enabled = max(whole.enabled, part.enabled) if either else whole.enabled + part.enabled
    whole.scaled = whole.scaled or part.scaled
    whole.reasons += part.reasons


def _estimate(whole: _Sum) -> None:
    """Scale what ran on all kinds of cores together, if the events took turns there."""
    whole.value = whole.raw
    whole.scaled = 0 < whole.running < _RAN_ALL_THE_TIME * whole.enabled
    if whole.scaled:
        whole.value = _scaled(whole.raw, whole.enabled, whole.running)
    elif whole.running == 0 < whole.enabled:
        whole.reasons.append(_NEVER_RAN)


def _scaled(raw: int, enabled: int, running: int) -> int:
    return (raw * enabled + running // 2) // running


def _add(
    group: Sequence[Prepared],
    totals: Sequence[_Sum],
    slot: Slot,
    before: Sequence[int],
    after: Sequence[int],
    start: int,
) -> None:
    size = len(slot.ids)
    if before[start] != size or after[start] != size:
        for total in totals:
            total.reasons.append("the kernel gave no values: the group was not on the PMU")
        return
    enabled, running = (after[start + i] - before[start + i] for i in (1, 2))
    old, new = _by_id(before, start, size), _by_id(after, start, size)
    for one, total, identity in zip(group, totals, slot.ids, strict=True):
        total.enabled += enabled
        total.running += running
        if identity not in old or identity not in new:
            total.reasons.append("the kernel gave no value for it")
            continue
        raw = new[identity] - old[identity]
        if not 0 <= raw < _IMPOSSIBLE or not 0 <= running <= enabled or _too_fast(one, raw, running):
            total.reasons.append(
                f"the kernel's values are impossible ({raw} events in {running} of {enabled} ns)"
            )
        elif one.part:
            total.raw += raw
        elif running == 0 < enabled:
            total.reasons.append(_NEVER_RAN)
        else:
            total.raw += raw
            total.value += raw if running == enabled else _scaled(raw, enabled, running)
            total.scaled = total.scaled or running < enabled


def _too_fast(one: Prepared, raw: int, running: int) -> bool:
    """Tell whether no processor does so much; of what comes in fractions of a unit there may be more."""
    return one.event.scale == 1 and raw > _IMPOSSIBLE_RATE * running + _IMPOSSIBLE_ALLOWANCE


def _by_id(words: Sequence[int], start: int, size: int) -> dict[int, int]:
    return {words[start + 4 + 2 * i]: words[start + 3 + 2 * i] for i in range(size)}


def _reason(one: Prepared, total: _Sum, *, scale: bool) -> str | None:
    if total.reasons:
        return total.reasons[0]
    if total.running == 0:
        return "nothing that is counted ran meanwhile"
    if total.scaled and not scale:
        return (
            f"counted during {total.running / total.enabled:.0%} of the time only, as events took turns on"
            ' the PMU; multiplex="scale" estimates'
        )
    if total.raw == 0 and not one.event.verified:
        return "counted 0, but the kernel does not list this event: the PMU may not have it"
    return None
