"""`Counters`: events counted around a piece of code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from perfcounters import _arrange, _attach
from perfcounters._passes import in_order, one_pass, refuse_turns, turns
from perfcounters._session import Scope, Session, Snapshot
from perfcounters.errors import CounterError, CounterStateError
from perfcounters.events import resolve
from perfcounters.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Counters"]

Multiplex = Literal["refuse", "scale", "passes"]
Source = Literal["hardware", "simulated"]

_EMPTY_WINDOWS = 20


class Counters:
    """
    Counts events while a block runs, or between two snapshots.

        with Counters("instructions", "LLC-misses") as counters:
            f()
        print(counters.reading)

    A `with` of counters that are not open opens and closes them, which costs some tens of µs an event
    and thread; call `open` before to pay that once. Counters run all the time and are only read, so
    sessions may nest and run side by side; one `Counters` is for one thread at a time.

    Args:
        events: Names, see `perfcounters.events`.
        scope: ``thread`` is the calling thread alone; ``process`` all its threads, those that exist
            and those to come; ``tree`` child processes to come too; ``cpu`` everything that runs on
            the machine's CPUs, which needs privileges.
        multiplex: What to do if the events don't fit on the PMU's counters at one time: ``refuse``;
            ``scale``, which takes turns and estimates; or ``passes``, in which `measure` repeats the
            call and counts other events each time.
        source: ``hardware`` counters and the kernel's, or ``simulated``: the caches modelled around a
            program that runs under `perfcounters.simulator`.
    """

    def __new__(cls, *_: str, source: Source = "hardware", **__: Any) -> Self:
        """Give counters of the source."""
        if source == "simulated":
            from perfcounters._simulated_counters import SimulatedCounters

            return cast("Self", object.__new__(SimulatedCounters))
        return super().__new__(cls)

    def __init__(
        self,
        *events: str,
        scope: Scope = "process",
        multiplex: Multiplex = "refuse",
        source: Source = "hardware",
    ) -> None:
        if not events or len(set(events)) != len(events):
            message = "Counters needs names of events, each once, such as Counters('instructions')"
            raise ValueError(message)
        if scope not in ("thread", "process", "tree", "cpu"):
            message = f"scope is thread, process, tree or cpu, not {scope!r}"
            raise ValueError(message)
        if multiplex not in ("refuse", "scale", "passes"):
            message = f"multiplex is refuse, scale or passes, not {multiplex!r}"
            raise ValueError(message)
        if source not in ("hardware", "simulated"):
            message = f"source is hardware or simulated, not {source!r}"
            raise ValueError(message)
        self.events = events
        self.scope: Scope = scope
        self.multiplex: Multiplex = multiplex
        self._session: Session | None = None
        self._arranged: tuple[tuple[_attach.Prepared, ...], ...] | None = None  # what was found out at first
        self._opened_by_with = False
        self._entered: list[Any] = []  # first reads of withs that have not ended, but for:
        self._next: Any = None  # the first read of a with that is alone
        self._before: Any = None  # the reads of the last with that ended
        self._after: Any = None
        self._counted: Session | None = None  # and what they read
        self._may_enter = False
        self._may_leave = False
        self._target: Any = None
        self._read_into: Any = None

    def open(self) -> Self:
        """
        Open the events on every task of the scope, and start them. Open counters stay as they are.

        Raises:
            EventNameError: A name means nothing.
            EventUnavailableError: This machine does not have an event.
            CounterPermissionError: This user may not count it.
            TooManyEventsError: The events don't fit, and `multiplex` is ``refuse``.
            CounterLimitError: Too few file descriptors.
            AttachError: The process's threads change too fast.
        """
        if self._session is None:
            try:
                self._session = self._opened()
            except CounterError:
                if self._arranged is None:
                    raise
                self._arranged = None  # what this process may do has changed since then
                self._session = self._opened()
        return self

    def _opened(self) -> Session:
        groups = self._arranged
        if groups is None:
            groups = self._groups()
            if self.multiplex != "scale":
                refuse_turns(groups)
        session = Session(groups, self.scope, scale=self.multiplex == "scale")
        self._arranged = groups
        return session

    def _groups(self) -> tuple[tuple[_attach.Prepared, ...], ...]:
        prepared = [_attach.prepare(resolve(event), self.scope) for event in self.events]
        return _arrange.arrange(prepared, self.scope)

    def close(self) -> None:
        """Stop counting and close all descriptors; closed counters may be opened again."""
        if self._session is not None:
            self._session.close()
            self._session = None
            self._opened_by_with = self._may_enter = self._may_leave = False
            self._entered.clear()

    def snapshot(self) -> Snapshot:
        """
        Read all counters now.

        Raises:
            CounterStateError: They are not open, or were opened before a fork, in the parent.
        """
        session = self._running()
        return Snapshot(session, session.read())

    def _running(self) -> Session:
        session = self._session
        if session is None:
            raise CounterStateError("these counters are not open: call open(), or use them in a with")
        return session

    def measure(self, function: Callable[[], object]) -> Reading:
        """
        Count one call; with ``multiplex="passes"`` as many calls as the events need turns.

        Raises:
            PerfCountersError: As `open`.
        """
        if self.multiplex == "passes" and self._session is None:
            passes = turns(self._groups())
            if len(passes) > 1:
                return Reading(
                    in_order(self.events, (one_pass(turn, self.scope, function) for turn in passes))
                )
        with self:
            function()
        return self.reading

    def call(self, address: int, argument: int = 0) -> Reading:
        """
        Count one call of a C function, with nothing of Python inside what is counted.

        Args:
            address: Of a function that takes one 64-bit word and returns one or nothing, as ctypes
                or CFFI give it. It is called without the interpreter's lock.
            argument: The word, not negative.

        Raises:
            CounterStateError: As `snapshot`.
        """
        session = self._running()
        session.read()  # refuses after a fork
        before, after = session.reader.read_around(address, argument)
        return Snapshot(session, after) - Snapshot(session, before)

    def overhead(self) -> Reading:
        """
        Give what an empty window of two snapshots counts: of each event the least of 20.

        It is in every reading. To leave it out, subtract it: ``counters.reading - counters.overhead()``.

        Raises:
            CounterStateError: As `snapshot`.
        """
        session = self._running()
        if session.overhead is None:
            empty = [_empty_window(self) for _ in range(_EMPTY_WINDOWS)]
            session.overhead = Reading(
                min((one[event] for one in empty), key=lambda count: count.value or 0)
                for event in self.events
            )
        return session.overhead

    def read(self) -> Reading:
        """
        Give what was counted since the `with` began.

        Raises:
            CounterStateError: Not inside a `with`.
        """
        now = self.snapshot()
        if not self._entered and not self._may_leave:
            raise CounterStateError("read() counts from the beginning of a with: use it inside of one")
        return now - Snapshot(self._running(), self._next if self._may_leave else self._entered[-1])

    @property
    def reading(self) -> Reading:
        """
        What was counted in the last `with` that ended.

        Raises:
            CounterStateError: None has ended.
        """
        session = self._counted
        if session is None:
            raise CounterStateError("there is no reading before the end of a with")
        return Snapshot(session, self._after) - Snapshot(session, self._before)

    # A with on open counters, the usual case, is two C calls and little else: all that Python does
    # between them is in the count. Everything unusual is in `_enter` and `_leave`.

    def __enter__(self) -> Self:
        if not self._may_enter:
            return self._enter()
        self._may_enter = False
        result = self._read_into(self._target, self._next)
        if result:
            self._failed(result)
        self._may_leave = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._may_leave:
            self._leave()
            return
        result = self._read_into(self._target, self._after)
        self._may_leave = False
        if result:
            self._failed(result)
        self._before, self._next = self._next, self._before
        self._may_enter = True

    def _enter(self) -> Self:
        """Begin a with that opens the counters, the first after `open`, or one inside another."""
        if self._session is None:
            self.open()
            self._opened_by_with = True
        session = self._running()
        before = self._read_own(session)
        if self._may_leave:
            self._entered.append(self._next)
            self._next = session.reader.new_buffer()
            self._may_leave = False
        self._entered.append(before)
        return self

    def _read_own(self, session: Session) -> Any:
        buffer = session.reader.new_buffer()
        result = session.reader.read_own_into(session.reader.target, buffer)
        if result:
            session.failed(result)
        return buffer

    def _leave(self) -> None:
        session = self._running()
        after = self._read_own(session)
        if not self._entered:
            raise CounterStateError("these counters were closed and opened again inside a with")
        self._before, self._after, self._counted = self._entered.pop(), after, session
        if self._entered:
            return
        if self._opened_by_with:
            self.close()
        else:
            self._next = session.reader.new_buffer()
            self._target, self._read_into = session.reader.target, session.reader.read_own_into
            self._may_enter = True

    def _failed(self, result: int) -> NoReturn:
        self._may_enter = self._may_leave = False
        self._running().failed(result)


def _empty_window(counters: Counters) -> Reading:
    before = counters.snapshot()
    after = counters.snapshot()
    return after - before
