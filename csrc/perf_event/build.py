"""Build of the extension `perfcounters._perf`: CFFI in API mode, for Python's stable ABI."""

import os
from pathlib import Path

from cffi import FFI

# setuptools runs this file without importing it, from the distribution's root, and wants paths from there.
_HERE = Path(__file__).resolve().parent.relative_to(Path.cwd())

ffibuilder = FFI()
ffibuilder.cdef((_HERE / "perf.cdef").read_text(encoding="ascii"))
ffibuilder.set_source(
    "perfcounters._perf",
    '#include "client_request.h"\n#include "perf_event.h"\n#include "known_work.h"\n',
    sources=[str(_HERE / name) for name in ("client_request.c", "perf_event.c", "known_work.c")],
    include_dirs=[str(_HERE)],
    depends=[
        str(_HERE / name)
        for name in ("client_request.h", "perf_event.h", "known_work.h", "perf.cdef", "build.py")
    ],
    extra_compile_args=[
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        *(["-Werror"] if os.environ.get("CI") else []),
    ],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
