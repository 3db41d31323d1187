"""Showing how far a long run has come: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from perfcounters._terminal import columns, wrapped

if TYPE_CHECKING:
    from collections.abc import Hashable

_FORMAT = "{desc} |{bar}| {n_fmt}/{total_fmt}{postfix}"


class Estimate:
    """Time left, from what each kind of work has taken so far for its size (its FLOPs, say)."""

    def __init__(self) -> None:
        self._left: dict[Hashable, float] = {}
        self._done: dict[Hashable, tuple[float, float]] = {}

    def plan(self, kind: Hashable, size: float) -> None:
        """Add work of `size` to what is left."""
        self._left[kind] = self._left.get(kind, 0.0) + size

    def finish(self, kind: Hashable, size: float, seconds: float) -> None:
        """Take work of `size` off what is left: it took `seconds`."""
        self._left[kind] = self._left.get(kind, 0.0) - size
        sizes, times = self._done.get(kind, (0.0, 0.0))
        self._done[kind] = sizes + size, times + seconds

    def seconds_left(self) -> float | None:
        """Return the estimate; None while some kind of work that is left has never been done."""
        total = 0.0
        for kind, size in self._left.items():
            if size <= 0:
                continue
            sizes, times = self._done.get(kind, (0.0, 0.0))
            if not sizes:
                return None
            total += size * times / sizes
        return total


class Progress:
    """
    The bar of one run of `total` points, on `stream`; it draws when told something and at no other time.

    Without a terminal each point becomes a line of its own; with `quiet` nothing is shown.
    """

    def __init__(self, total: int, *, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._total = total
        self._done = 0
        self._failed = 0
        self._started = time.monotonic()
        self.estimate = Estimate()
        self._bar: tqdm[Any] | None = None
        if not quiet and self._stream.isatty():
            tqdm.monitor_interval = 0  # no thread that redraws in the middle of a timed call
            self._bar = tqdm(
                total=total, file=self._stream, bar_format=_FORMAT, dynamic_ncols=True, leave=False
            )

    def say(self, point: str, stage: str) -> None:
        """Show the current point and what is being done to it."""
        if self._bar is not None:
            self._bar.set_description_str(f"{point}: {stage}", refresh=False)
            self._bar.set_postfix_str(self._state(), refresh=True)

    def done(self, point: str, stage: str, *, failed: bool = False) -> None:
        """Count one point as finished."""
        self._done += 1
        self._failed += failed
        if self._bar is not None:
            self._bar.update(1)
            self._bar.set_postfix_str(self._state(), refresh=True)
        elif not self._quiet:
            parts = [
                f"[{self._done}/{self._total}{self._failures()}] {time.monotonic() - self._started:.0f} s",
                f"{point}: {stage}",
            ]
            line = ", ".join(filter(None, [*parts, self._time_left()]))
            print(line, file=self._stream, flush=True)

    def note(self, text: str) -> None:
        """Say something that stays on the screen above the bar."""
        if self._bar is not None:
            self._bar.write(wrapped(text, columns(self._stream)), file=self._stream)
        elif not self._quiet:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _state(self) -> str:
        return ", ".join(filter(None, [self._failures().lstrip(", "), self._time_left()]))

    def _failures(self) -> str:
        return f", {self._failed} failed" if self._failed else ""

    def _time_left(self) -> str:
        seconds = self.estimate.seconds_left()
        if seconds is None or seconds <= 0:
            return ""
        return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"
