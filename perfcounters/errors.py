"""What can go wrong when counting: one small hierarchy under `PerfCountersError`."""

from __future__ import annotations


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
