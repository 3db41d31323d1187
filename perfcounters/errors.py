"""What can go wrong when counting: one small hierarchy under `PerfCountersError`."""

from __future__ import annotations

__all__ = [
    "AttachError",
    "CacheGeometryError",
    "CounterError",
    "CounterLimitError",
    "CounterPermissionError",
    "CounterStateError",
    "EventNameError",
    "EventUnavailableError",
    "PerfCountersError",
    "SimulatorBuildError",
    "SimulatorError",
    "SimulatorMissingError",
    "SimulatorStateError",
    "TooManyEventsError",
]


class PerfCountersError(Exception):
    """Root of this package's errors; never raised itself."""


class CacheGeometryError(PerfCountersError, ValueError):
    """A cache to model has no possible or known geometry."""


class SimulatorError(PerfCountersError):
    """The simulator cannot be had or used; parent of the causes."""


class SimulatorMissingError(SimulatorError):
    """Something that the simulator needs is not on this machine."""


class SimulatorBuildError(SimulatorError):
    """The simulator's sources did not build against the installed Valgrind."""


class SimulatorStateError(SimulatorError):
    """A simulator's count was asked for in a program that does not run under it."""


class EventNameError(PerfCountersError, ValueError):
    """
    No event has this name, or it is written wrongly.

    Attributes:
        event: The name that was asked for.
        nearest: Known names like it.
    """

    def __init__(self, message: str, *, event: str = "", nearest: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.event = event
        self.nearest = nearest


class CounterError(PerfCountersError):
    """
    A counter cannot be had or used; parent of the causes.

    Attributes:
        event: The event that was asked for; empty where it isn't one event's fault.
        errno: What the kernel answered; None where it was not asked.
        paranoid: `perf_event_paranoid` at that moment; None where it could not be read.
    """

    def __init__(
        self, message: str, *, event: str = "", errno: int | None = None, paranoid: int | None = None
    ) -> None:
        super().__init__(message)
        self.event = event
        self.errno = errno
        self.paranoid = paranoid


class EventUnavailableError(CounterError):
    """This machine has no such event, or none that is known to mean what its name says."""


class CounterPermissionError(CounterError):
    """The kernel or a sandbox refused this user the counter."""


class TooManyEventsError(CounterError):
    """The events do not fit into the PMU's counters at one time."""


class CounterLimitError(CounterError):
    """More file descriptors are needed than this process may have."""


class AttachError(CounterError):
    """The threads of the process changed too fast to attach to each exactly once."""


class CounterStateError(CounterError):
    """Counters were used before `open`, after `close`, in a forked child, or mixed with others."""
