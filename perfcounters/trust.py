"""Whether hardware counts mean on this machine what they say: counted against known work."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from perfcounters import _validation
from perfcounters.counters import Counters
from perfcounters.errors import CounterError
from perfcounters.known_work import Walk

__all__ = ["Trust", "llc", "walk"]

TOLERANCE = 0.2
_LINES = 1 << 17  # 8 MiB: far more than stray misses, a few tens of ms
_LINES_IN_L1 = 1 << 7
_WALKS = 3


@dataclass(frozen=True)
class Trust:
    """
    Whether a count can be trusted here.

    Attributes:
        trusted: Known work was counted right.
        reason: Why, or why not and what to do, in a sentence.
        ratio: Counted / known; None where nothing was counted.
    """

    trusted: bool
    reason: str
    ratio: float | None


def llc() -> Trust:
    """Check hardware LLC misses, as `walk` does."""
    return walk("LLC-misses")


def walk(event: str) -> Trust:
    """
    Check an event that a load counts which no cache can answer, and none that the L1d answers.

    That is so of misses of every level of cache, and of references to the last. The event is counted in a
    walk of known misses and one of known hits: the lines of the first are flushed from the caches before,
    so that each must come from memory once; the second repeats a few lines that the L1d holds. The count
    must be right within 20%. What is found of an LLC event is kept: `Count.validated` says it from then
    on, in other processes too.
    """
    miss, hit = Walk(_LINES), Walk(_LINES_IN_L1)
    if not miss.flush():
        return Trust(
            trusted=False,
            reason="No walk of known misses is written for this kind of processor.",
            ratio=None,
        )
    misses, hits = [], []
    try:
        with Counters(event, scope="thread") as counters:
            for _ in range(_WALKS):
                miss.flush()
                before = counters.snapshot()
                miss.go(_LINES)
                between = counters.snapshot()
                hit.go(_LINES)
                after = counters.snapshot()
                misses.append((between - before)[event])
                hits.append((after - between)[event])
    except CounterError as error:
        return Trust(trusted=False, reason=_sentence(str(error)), ratio=None)
    counted, stray = (
        [count.value for count in counts if count.value is not None] for counts in (misses, hits)
    )
    if len(counted) < _WALKS or len(stray) < _WALKS:
        why = next(count.reason for count in (*misses, *hits) if count.value is None)
        return Trust(trusted=False, reason=_sentence(f"{event} was not counted: {why}"), ratio=None)
    judged = judge(median(counted) / _LINES, median(stray) / _LINES, misses[0].encoding, event)
    if event in _validation.CHECKED:
        _validation.record(misses[0].encoding, right=judged.trusted)
    return judged


def judge(ratio: float, stray: float, encoding: str, event: str = "LLC-misses") -> Trust:
    """
    Judge an event by what a walk of known misses and one of known hits counted.

    Args:
        ratio: Misses counted for each known miss.
        stray: Misses counted for each known hit.
    """
    known = "LLC miss" if event == "LLC-misses" else f"one of {event}"
    what = f"{encoding} counted {ratio:.2f} for each known {known} and {stray:.2f} for each known hit"
    if abs(ratio - 1) <= TOLERANCE and stray <= TOLERANCE:
        return Trust(trusted=True, reason=f"{what}.", ratio=ratio)
    return Trust(
        trusted=False,
        reason=f"{what}, not 1 and 0 within {TOLERANCE:.0%}: it means something else here. Simulate instead.",
        ratio=ratio,
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
