"""Build of the extension `perfcounters._perf`: CFFI in API mode, for Python's stable ABI."""

import os
from pathlib import Path

from cffi import FFI

# setuptools runs this file without importing it, from the distribution's root, and wants paths from there.
_HERE = Path(__file__).resolve().parent.relative_to(Path.cwd())
_NAMES = ("client_request", "perf_event", "user_read", "known_work")

ffibuilder = FFI()
ffibuilder.cdef((_HERE / "perf.cdef").read_text(encoding="ascii"))
ffibuilder.set_source(
    "perfcounters._perf",
    "".join(f'#include "{name}.h"\n' for name in _NAMES),
    sources=[str(_HERE / f"{name}.c") for name in _NAMES],
    include_dirs=[str(_HERE)],
    depends=[str(_HERE / name) for name in (*(f"{name}.h" for name in _NAMES), "perf.cdef", "build.py")],
    extra_compile_args=[
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        *(["-Werror"] if os.environ.get("FORMFN_WERROR") else []),
    ],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
