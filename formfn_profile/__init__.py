"""
Does form follow function? Latency, FLOPs and last-level-cache misses of the same network under PyTorch
and OpenVINO.

Importing this package loads neither torch nor OpenVINO nor numpy nor matplotlib; each loads where it is
used.
"""

from perfcounters._version import __version__

__all__ = ["__version__"]
