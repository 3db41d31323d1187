"""
The protocol of one timed run.

The first call of a network compiles and allocates; the calls after it get faster for a while. So: one
first call, timed on its own; warm-up calls until the running median is steady; then at least `calls`
calls and at least `seconds` seconds, each call timed alone with a monotonic clock, garbage collection
off, nothing printed and nothing sent meanwhile. All samples are kept, the warm-up's too.
"""

from __future__ import annotations

import contextlib
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from formfn_profile.errors import MeasurementError

__all__ = ["Protocol"]

Clock = Callable[[], float]


@dataclass(frozen=True)
class Protocol:
    """
    How long to warm up and to measure.

    Args:
        calls: Timed calls at least.
        seconds: Time spent in timed calls at least, in seconds.
        window: Warm-up calls in each of the two windows whose medians are compared.
        tolerance: Relative difference of the two medians below which the latency counts as steady.
        warmup_seconds: Time in seconds after which a latency that has not become steady is measured all
            the same, and the record says so.
        end_to_end: Part of `calls` and `seconds` that is timed once more with the inputs copied in and
            the output copied out; 0 leaves that out.
    """

    calls: int = 50
    seconds: float = 1.0
    window: int = 4
    tolerance: float = 0.05
    warmup_seconds: float = 3.0
    end_to_end: float = 0.2

    def __post_init__(self) -> None:
        if self.calls < 1 or min(self.seconds, self.warmup_seconds, self.end_to_end) < 0:
            raise MeasurementError(
                f"no protocol has {self.calls} calls, {self.seconds} s, {self.warmup_seconds} s of warm-up:"
                " calls must be 1 or more, times 0 or more"
            )

    @property
    def for_end_to_end(self) -> Protocol | None:
        """How long end-to-end calls are timed; None for not at all."""
        if not self.end_to_end:
            return None
        calls = math.ceil(self.calls * self.end_to_end)
        return replace(self, calls=calls, seconds=self.seconds * self.end_to_end)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Protocol:
        """Rebuild a protocol from `to_dict`'s mapping."""
        return cls(**fields)


@dataclass(frozen=True)
class WarmUp:
    """Samples of the warm-up calls in seconds, and whether the latency settled."""

    samples_s: tuple[float, ...]
    settled: bool


def warm_up(call: Callable[[], object], protocol: Protocol, clock: Clock = time.perf_counter) -> WarmUp:
    """
    Call until the medians of the last two windows agree, or until the time for it is up (two windows of
    calls at least).
    """
    samples: list[float] = []
    spent = 0.0
    while True:
        started = clock()
        call()
        samples.append(clock() - started)
        spent += samples[-1]
        if len(samples) < 2 * protocol.window:
            continue
        if steady(samples, protocol.window, protocol.tolerance):
            return WarmUp(tuple(samples), settled=True)
        if spent >= protocol.warmup_seconds:
            return WarmUp(tuple(samples), settled=False)


def steady(samples: Sequence[float], window: int, tolerance: float) -> bool:
    """
    Tell whether the medians of the last `window` samples and of the `window` before them differ by
    `tolerance` at most.
    """
    last = statistics.median(samples[-window:])
    before = statistics.median(samples[-2 * window : -window])
    return abs(last - before) <= tolerance * before


def timed(
    call: Callable[[], object], protocol: Protocol, clock: Clock = time.perf_counter
) -> tuple[float, ...]:
    """
    Return the latency of each call in seconds, for at least `protocol.calls` calls and
    `protocol.seconds` seconds.
    """
    samples: list[float] = []
    with collection_off():
        end = clock() + protocol.seconds
        stopped = clock()
        while len(samples) < protocol.calls or stopped < end:
            started = clock()
            call()
            stopped = clock()
            samples.append(stopped - started)
    return tuple(samples)


@contextlib.contextmanager
def collection_off() -> Iterator[None]:
    """Collect garbage once, then keep the collector off inside the block."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
