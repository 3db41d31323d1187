"""Counts of hardware and kernel events around a piece of code, each with what it really is."""

from perfcounters import errors
from perfcounters._session import Snapshot
from perfcounters._version import __version__
from perfcounters.countable import countable
from perfcounters.counters import Counters
from perfcounters.reading import Count, Reading

__all__ = ["Count", "Counters", "Reading", "Snapshot", "__version__", "countable", "errors"]
