"""Checks of counters against work whose counts are known from elsewhere: how `doctor` knows what is right."""

from __future__ import annotations

import ctypes
import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfcounters import known_work, trust
from perfcounters.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOPS = 10_000_000
_PAGES = 1000
_BUSY_SECONDS = 0.1
_SLEEPS = 20
_WRITES = 1000


@dataclass(frozen=True)
class Outcome:
    """
    A count beside what was known.

    Attributes:
        right: Whether they agree; None where nothing was counted.
        text: Both figures in a sentence, or why there is none.
        ratio: Counted / known, where known is not 0.
    """

    right: bool | None
    text: str
    ratio: float | None = None


def _compared(value: int | None, known: int, what: str, reason: str | None, tolerance: float) -> Outcome:
    if value is None:
        return Outcome(None, str(reason))
    off = value / known - 1
    text = f"counted {value:,} for {known:,} {what}: off by {off:+.2%}"
    return Outcome(abs(off) <= tolerance, text, value / known)


def _loop(event: str, per_round: int, what: str) -> Outcome:
    """A loop of two instructions in C, one of them a branch."""
    name = f"{event}:u"
    with Counters(name, scope="thread") as counters:
        count = counters.call(known_work.instructions_address(), _LOOPS)[name]
    return _compared(count.value, per_round * _LOOPS, what, count.reason, 0.001)


def _page_faults(event: str) -> Outcome:
    with Counters(event, scope="thread") as counters:
        known_work.page_faults(_PAGES)
    count = counters.reading[event]
    return _compared(count.value, _PAGES, "touches of fresh pages", count.reason, 0.02)


def _clock(event: str) -> Outcome:
    with Counters(event, scope="thread") as counters:
        start = now = time.thread_time_ns()
        while now - start < _BUSY_SECONDS * 1e9:
            now = time.thread_time_ns()
    count = counters.reading[event]
    what = "ns of a busy loop by the thread's clock"
    return _compared(count.value, now - start, what, count.reason, 0.02)


def _switches(event: str) -> Outcome:
    def known() -> int:
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return usage.ru_nvcsw + usage.ru_nivcsw

    with Counters(event, scope="thread") as counters:
        before = known()
        for _ in range(_SLEEPS):
            time.sleep(0.0002)
        switches = known() - before
    count = counters.reading[event]
    return _compared(count.value, switches, "switches by getrusage", count.reason, 0.1)


def _walk(event: str) -> Outcome:
    judged = trust.walk(event)
    return Outcome(judged.trusted if judged.ratio is not None else None, judged.reason, judged.ratio)


def breakpoints() -> Outcome:
    """Count writes to a watched word: exact, by the processor's debug registers."""
    word = ctypes.c_uint64(0)
    event = f"mem:{ctypes.addressof(word):#x}/8:w"
    with Counters(event, scope="thread") as counters:
        for i in range(_WRITES):
            word.value = i
    count = counters.reading[event]
    return _compared(count.value, _WRITES, "writes of a watched word", count.reason, 0.0)


CHECKS: dict[str, Callable[[str], Outcome]] = {
    "instructions": lambda event: _loop(event, 2, "instructions of a loop"),
    "branches": lambda event: _loop(event, 1, "branches of a loop"),
    "LLC-misses": _walk,
    "LLC-references": _walk,
    "L1-dcache-load-misses": _walk,
    "task-clock": _clock,
    "cpu-clock": _clock,
    "page-faults": _page_faults,
    "minor-faults": _page_faults,
    "context-switches": _switches,
}
"""Event to check; each raises a `PerfCountersError` where the event can't be counted at all."""
