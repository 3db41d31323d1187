"""Build of the CFFI extension; everything else about the distribution stands in pyproject.toml."""

import sysconfig

from setuptools import setup

# One wheel serves every Python from 3.10 on, except free-threaded builds, which have no stable ABI.
stable_abi = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["csrc/perf_event/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if stable_abi else {},
)
