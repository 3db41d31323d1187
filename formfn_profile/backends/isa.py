"""Instruction sets: how kernels are held to one, and how a library's words for it are read."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAPS: dict[str, dict[str, str]] = {
    "native": {},
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}

# The widest first: a text that names AVX-512 may well name AVX2 too.
_FAMILIES = (
    ("avx512", re.compile(r"avx[-_]?512|avx10", re.IGNORECASE)),
    ("avx2", re.compile(r"avx[-_]?2", re.IGNORECASE)),
    ("avx", re.compile(r"avx", re.IGNORECASE)),
    ("sse", re.compile(r"sse", re.IGNORECASE)),
)


def isa_environment(isa: str) -> dict[str, str]:
    """
    Return the environment that holds a process's kernels to `isa`: "native" (no cap) or "avx2".

    It must be there when the process starts. Seen with torch 2.13 and OpenVINO 2026.4 on an AVX-512 CPU:

    - ONEDNN_MAX_CPU_ISA caps the oneDNN of PyTorch and the one inside OpenVINO's CPU plugin, and with it
      most kernels of the plugin's own (softmax, pooling, fused element-wise subgraphs). DNNL_MAX_CPU_ISA
      does the same; the plugin has no variable of its own.
    - ATEN_CPU_CAPABILITY caps PyTorch's native kernels, MKL_ENABLE_INSTRUCTIONS its MKL.
    - Nothing found caps OpenVINO's `Reduce` (a global average pooling is one), `Interpolate` and `MVN`
      kernels: they still say AVX-512. Its MLAS matrix products (`gemm_mlas`) choose by
      CPUID and don't say what. ONNX Runtime's are the same library.
    - Inductor's C++ kernels follow ATEN_CPU_CAPABILITY; their compiler has to be held by itself.

    `Session.facts` tells what each layer's kernel is under the cap.

    Raises:
        BackendError: There is no such cap.
    """
    if isa not in _CAPS:
        raise BackendError(f"kernels cannot be held to {isa!r}. There is: {', '.join(_CAPS)}")
    return dict(_CAPS[isa])


def exceeded_cap(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Return the cap that this process's environment has, where its CPU has wider vectors; else None."""
    wider = "avx512f" in cpuinfo.read_text(encoding="utf-8").split()
    caps = (
        name for name, variables in _CAPS.items() if variables and variables.items() <= os.environ.items()
    )
    return next(caps, None) if wider else None


def family(text: str) -> str | None:
    """Return the widest vector family that a library's text names, None where it names none."""
    return next((name for name, pattern in _FAMILIES if pattern.search(text)), None)


def summary(kernels: Mapping[str, int]) -> str | None:
    """
    Return the families of vector instructions that kernels' names give, the most frequent first.

    "avx2" where all that give one agree; else each with its number of layers, as
    "avx2 (12 layers), avx512 (1)". None where no name gives any.
    """
    layers: Counter[str] = Counter()
    for name, number in kernels.items():
        if named := family(name):
            layers[named] += number
    if len(layers) < 2:
        return next(iter(layers), None)
    (first, number), *others = layers.most_common()
    return ", ".join([f"{first} ({number} layers)", *(f"{name} ({count})" for name, count in others)])
