"""
Which implementation PyTorch's layers ran with, told by PyTorch's profiler, oneDNN and MKL.

PyTorch chooses a library for each convolution by shape, groups, thread count and settings; "eager" names
none. oneDNN and MKL print what they execute when their verbose modes are on; those lines are caught from
the process's standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from multiprocessing import Pipe, get_context
from typing import TYPE_CHECKING, Any

from formfn_profile.backends.isa import family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection

_ONEDNN_EXEC = re.compile(r"^onednn_verbose,v1,primitive,exec,cpu,([^,]+),([^,]+),", re.MULTILINE)
_ONEDNN_ISA = re.compile(r"^onednn_verbose,v1,info,cpu,isa:(.+)$", re.MULTILINE)
_ONEDNN_VERSION = re.compile(r"^onednn_verbose,v1,info,oneDNN v([\d.]+)", re.MULTILINE)
_MKL_HEADER = re.compile(r"^MKL_VERBOSE (oneMKL .+?) Product build .+? architecture (.+), Lnx", re.MULTILINE)

_BATCH_NORM = "aten::native_batch_norm"

# PyTorch's own operations that run a layer. What hands its work to oneDNN is counted by oneDNN's lines.
_NATIVE = {
    "aten::_slow_conv2d_forward": "native slow_conv2d (im2col and MKL gemm)",
    "aten::slow_conv_dilated2d": "native slow_conv_dilated2d (im2col and MKL gemm)",
    "aten::slow_conv_dilated3d": "native slow_conv_dilated3d (im2col and MKL gemm)",
    "aten::slow_conv3d_forward": "native slow_conv3d (im2col and MKL gemm)",
    "aten::slow_conv_transpose2d": "native slow_conv_transpose2d (MKL gemm and col2im)",
    "aten::slow_conv_transpose3d": "native slow_conv_transpose3d (MKL gemm and col2im)",
    "aten::_nnpack_spatial_convolution": "NNPACK convolution",
    "aten::mm": "native mm (MKL gemm)",
    "aten::addmm": "native addmm (MKL gemm)",
    "aten::bmm": "native bmm (MKL gemm)",
    "aten::baddbmm": "native baddbmm (MKL gemm)",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "native flash attention",
    _BATCH_NORM: "native batch_norm",
}
_ONEDNN = re.compile(r"^aten::(mkldnn_|_mkldnn_)")
_CONVOLUTION = "aten::_convolution"


def ran(call: Callable[[], object]) -> dict[str, int]:
    """
    Run `call` once and return what ran: "oneDNN convolution jit:avx2" -> number of layers.

    oneDNN's reorders between memory formats are there as such, as calls. A convolution whose
    implementation left no trace is "convolution, kernel not known"; layers without a heading of their own
    here (pooling, activations, arithmetic) are left out.
    """
    import torch

    isa()  # oneDNN prints its header once a process: before anything else makes it
    with _printed() as text, _onednn_verbose(), torch.autograd.profiler.profile(use_kineto=False) as profile:
        call()
    executed = _ONEDNN_EXEC.findall(text[0])
    kernels = Counter(f"oneDNN {kind} {name}" for kind, name in executed)
    onednn_norms = sum(kind == "batch_normalization" for kind, _ in executed)
    within: set[int] = set()
    for event in profile.function_events or ():
        if event.name == _CONVOLUTION and id(event) not in within:
            below = list(_below(event))
            within.update(map(id, below))
            names = {child.name for child in below}
            native = {_NATIVE[name] for name in names if name in _NATIVE}  # once, though each group is a call
            if not native and not any(map(_ONEDNN.match, names)):
                native = {"convolution, kernel not known"}
            kernels.update(native)
        elif event.name in _NATIVE and id(event) not in within:
            kernels[_NATIVE[event.name]] += 1
    kernels[_NATIVE[_BATCH_NORM]] -= onednn_norms  # on oneDNN's tensors it is the same operation
    return dict(+kernels)


def isa() -> dict[str, str | None]:
    """
    Return the vector family that each library of PyTorch's uses in this process, None where it doesn't
    say: keys aten, onednn, mkl.
    """
    import torch

    text = _headers()
    onednn, mkl = _ONEDNN_ISA.search(text), _MKL_HEADER.search(text)
    return {
        "aten": family(torch.backends.cpu.get_cpu_capability()),
        "onednn": family(onednn[1]) if onednn else None,
        "mkl": family(mkl[2]) if mkl else None,
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries inside PyTorch, as far as they say."""
    onednn, mkl = _ONEDNN_VERSION.search(_headers()), _MKL_HEADER.search(_headers())
    found = {"torch_onednn": onednn and onednn[1], "torch_mkl": mkl and mkl[1]}
    return {name: version for name, version in found.items() if version}


def learn() -> None:
    """
    Have a forked child ask oneDNN and MKL about themselves, for this process and those forked from it.

    MKL measures the clock for its answer, for a second; asked here, it would also have computed something.
    """
    if _told:
        return
    ours, theirs = Pipe(duplex=False)
    child = get_context("fork").Process(target=_tell, args=(theirs,))
    child.start()
    theirs.close()
    with ours, contextlib.suppress(EOFError):  # it died: whoever wants to know asks, and meets the reason
        _told.append(ours.recv())
    child.join()


def _tell(end: Connection) -> None:
    import torch

    torch.set_num_threads(1)
    end.send(_headers())


_told: list[str] = []


def _headers() -> str:
    """What oneDNN and MKL print once a process, about themselves, before the first thing they run."""
    if not _told:
        _told.append(_asked())
    return _told[0]


def _asked() -> str:
    import torch

    enabled = torch.backends.mkldnn.enabled  # oneDNN tensors do not work while it is off
    torch.backends.mkldnn.enabled = True  # type: ignore[assignment]
    try:
        with (
            torch.inference_mode(),
            _printed() as text,
            _onednn_verbose(),
            torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON),  # type: ignore[no-untyped-call]
        ):
            image = torch.zeros(1, 16, 8, 8)
            torch.nn.functional.conv2d(image.to_mkldnn(), torch.zeros(16, 16, 3, 3).to_mkldnn())
            torch.zeros(8, 8) @ torch.zeros(8, 8)
    finally:
        torch.backends.mkldnn.enabled = enabled
    return text[0]


def _onednn_verbose() -> AbstractContextManager[Any]:
    import torch

    return torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON)  # type: ignore[no-untyped-call]


@contextmanager
def _printed() -> Iterator[list[str]]:
    """
    Catch what C code prints while the block runs; after it, the list holds the text.

    Standard error is held back with it: PyTorch's profiler announces itself there.
    """
    text: list[str] = []
    flush = ctypes.CDLL(None).fflush
    streams = (1, 2)
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        sys.stderr.flush()
        flush(None)
        saved = [os.dup(stream) for stream in streams]
        try:
            for stream in streams:
                os.dup2(file.fileno(), stream)
            yield text
        finally:
            flush(None)
            for stream, copy in zip(streams, saved, strict=True):
                os.dup2(copy, stream)
                os.close(copy)
            file.seek(0)
            text.append(file.read().decode(errors="replace"))


def _below(event: Any) -> Iterator[Any]:
    for child in event.cpu_children:
        yield child
        yield from _below(child)
