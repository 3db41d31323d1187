"""
Compile an exported program with Inductor: `python -m formfn_profile.backends.torch_inductor PROGRAM INPUTS
FOLDER THREADS`.

A program of its own, so that whoever wants the library keeps a heap without a compiler's leavings, and need
not be a process that can compile: one under Valgrind, which leaves alone what another program does.

It writes the library into the folder and, once that is whole, what `compile_` tells of it into `TOLD`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formfn_profile.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLD = "compiled.json"
MARCH = "TORCHINDUCTOR_CPP_MARCH"

_BODY = "::run_impl("
_OWN = re.compile(r"^\s*cpp_\w+\(", re.MULTILINE)
_EXTERN = re.compile(r"\baoti_torch_(?:cpu_(\w+)|(proxy_executor_call_function))\(")
_THREADS = re.compile(r"#pragma omp parallel num_threads\((\d+)\)")


def main(argv: Sequence[str]) -> int:
    """Compile, and return the exit status; the last line on standard error says what went wrong."""
    program, inputs, folder, threads = argv
    try:
        told = compile_(Path(program), Path(inputs), Path(folder), int(threads))
    except Exception as error:  # noqa: BLE001 - whatever a compiler raises costs this network alone
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in lines if "error: " in line), lines[0] if lines else "no reason given")
        sys.stderr.write(f"\n{type(error).__name__}: {said}\n")
        return 1
    (Path(folder) / TOLD).write_text(json.dumps(told), encoding="utf-8")
    return 0


def compile_(program: Path, inputs: Path, folder: Path, threads: int) -> dict[str, Any]:
    """
    Write the library into `folder` and tell of it: `library`, its path; `seconds` from the graph to the
    library; `isa` that its kernels are written for, `march` that the C++ compiler may use, its version
    `cxx`; numbers of `threads` that kernels are made for; `kernels` (name -> calls in an inference).
    """
    import torch
    from torch._inductor import aot_compile, compile_fx, config, cpp_builder, cpu_vec_isa  # noqa: F401 - once

    march = getattr(config.cpp, "march", None)
    if march != os.environ.get(MARCH):
        raise BackendError(
            "this PyTorch's Inductor builds for the CPU that it is on, which has more than this run may use:"
            " install a later one"
        )
    torch.set_num_threads(threads)
    isa = str(cpu_vec_isa.pick_vec_isa())  # tries the C++ compiler: not in the time either
    graph = torch.export.load(program).module()
    example = torch.load(inputs, weights_only=True)
    started = time.perf_counter()
    with torch.no_grad():
        library = aot_compile(graph, example, options=_options(config, folder))
    seconds = time.perf_counter() - started
    wrapper, code = (_sources(folder, kind) for kind in ("wrapper", "kernel"))
    return {
        "library": library,
        "seconds": seconds,
        "isa": isa,
        "march": march or "native",
        "threads": sorted({int(number) for number in _THREADS.findall(wrapper + code)}),
        "kernels": called(wrapper),
        "cxx": _version(cpp_builder.get_cpp_compiler()),
    }


def _options(config: Any, folder: Path) -> dict[str, Any]:
    """Headers compiled ahead pay from the second network on; here each cache is for one."""
    options: dict[str, Any] = {"aot_inductor.output_path": str(folder)}
    if hasattr(config.aot_inductor, "precompile_headers"):
        options["aot_inductor.precompile_headers"] = False
    return options


def called(wrapper: str) -> dict[str, int]:
    """
    Return what an inference calls, by the wrapper that Inductor wrote: its own kernels, and PyTorch's
    operations ("aten convolution") that it leaves as they are.
    """
    _, _, body = wrapper.partition(_BODY)
    names = (name or "operation without a C interface" for name, _ in _EXTERN.findall(body))
    calls = Counter(f"aten {name}" for name in names)
    calls["Inductor C++ kernel"] = len(_OWN.findall(body))
    return dict(+calls)


def _version(compiler: str) -> str:
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition("\n")[0]


def _sources(folder: Path, kind: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"*.{kind}.cpp")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
