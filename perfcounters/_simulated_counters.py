"""`Counters` of a program that runs under the simulator: the modelled processor's events."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from perfcounters import _simulated_reading, simulator
from perfcounters.counters import Counters
from perfcounters.errors import CounterStateError

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from perfcounters.reading import Reading


class SimulatedCounters(Counters):
    """
    Counts a block in the caches of the first processor that is modelled around this program.

    All threads of the process are counted while a block is recorded.
    """

    _read_words: Callable[[], array[int]] | None = None

    def open(self) -> Self:
        """
        Check the events, and that the simulator is there.

        Raises:
            EventUnavailableError: The simulator does not count an event.
            SimulatorStateError: This program does not run under llcsim.
        """
        _simulated_reading.check(self.events)
        self._read_words = simulator.word_reader()
        self._windows: list[tuple[ExitStack, array[int]]] = []
        self._last: Reading | None = None
        return self

    def close(self) -> None:
        """Forget the simulator; counters may be opened again."""
        self._read_words = None

    def measure(self, function: Callable[[], object]) -> Reading:
        """Count one call."""
        with self:
            function()
        return self.reading

    def read(self) -> Reading:
        """
        Give what was counted since the `with` began.

        Raises:
            CounterStateError: Not inside a `with`.
        """
        if self._read_words is None or not self._windows:
            raise CounterStateError("read() counts from the beginning of a with: use it inside of one")
        return self._between(self._windows[-1][1], self._read_words())

    @property
    def reading(self) -> Reading:
        """
        What was counted in the last `with` that ended.

        Raises:
            CounterStateError: None has ended.
        """
        if self._read_words is None or self._last is None:
            raise CounterStateError("there is no reading before the end of a with")
        return self._last

    def _between(self, before: Sequence[int], after: Sequence[int]) -> Reading:
        counts = simulator.counts_of([one - other for one, other in zip(after, before, strict=True)])
        return _simulated_reading.reading(counts, counts.caches[0], events=self.events)

    def __enter__(self) -> Self:
        if self._read_words is None:
            self.open()
        if self._read_words is None:
            raise CounterStateError("these counters are not open: call open(), or use them in a with")
        recorded = ExitStack()
        recorded.enter_context(simulator.recording())
        self._windows.append((recorded, self._read_words()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._read_words is None:
            raise CounterStateError("these counters were closed inside a with")
        after = self._read_words()
        recorded, before = self._windows.pop()
        recorded.close()
        self._last = self._between(before, after)

    def _unsupported(self, *_: object, **__: object) -> Any:
        raise CounterStateError("simulated counters count a with or measure(); they have no snapshots")

    snapshot = call = overhead = _unsupported
