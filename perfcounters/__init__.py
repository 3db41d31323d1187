"""Counts of hardware and kernel events around a piece of code, each with what it really is."""

from perfcounters import errors
from perfcounters._version import __version__

__all__ = ["__version__", "errors"]
