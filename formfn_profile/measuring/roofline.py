"""A short benchmark of the machine itself: its peak FLOP/s and how fast it reads memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from formfn_profile.ceilings import Ceilings
from formfn_profile.errors import MeasurementError
from formfn_profile.measuring.machine import machine, usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (512, 1024, 1536)
CONVOLUTIONS = ((64, 56), (128, 28), (256, 14))  # channels, pixels a side: ResNet's
FEWEST = 3  # timed calls of each
_SMALLEST_BUFFER = 2**28
_LLCS = 4
_SHARE = 8  # of the free memory


def measure(
    threads: int = 1,
    seconds: float = 1.0,
    sizes: Sequence[int] = SIZES,
    convolutions: Sequence[tuple[int, int]] = CONVOLUTIONS,
    buffer_bytes: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Ceilings:
    """
    Return the machine's ceilings with so many threads, in single precision; it takes about 8 x `seconds`.

    The peak is the fastest of PyTorch's matrix products of the `sizes` and of oneDNN's 3x3 `convolutions` of
    so many channels and pixels a side: what a library reaches, somewhat below what the processor could.
    (On some processors MKL's products are slower than a convolution.) The bandwidth is that of summing a
    buffer of 4 times the LLC (256 MiB at least, an eighth of the free memory at most), the fastest call of
    several.

    Raises:
        MeasurementError: More threads than this process may use, or too little memory.
    """
    if threads > usable_cpus():
        raise MeasurementError(
            f"cannot measure with {threads} threads: this process may use {usable_cpus()}"
            " (affinity mask and CPU quota). Ask for no more"
        )
    size, beside = (buffer_bytes, "") if buffer_bytes else _buffer()
    if size > psutil.virtual_memory().available:
        raise MeasurementError(f"cannot sum {size / 2**20:.0f} MiB: there is less memory. Free some")
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        peaks = {
            f"product of two {side} x {side} matrices": 2 * side**3 / _product(side, seconds, clock)
            for side in sizes
        }
        if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            peaks |= {
                f"3x3 convolution of {channels} channels, {side} x {side} pixels": 2
                * (3 * channels * side) ** 2
                / _convolution(channels, side, seconds, clock)
                for channels, side in convolutions
            }
        buffer = torch.ones(size // 4)
        bandwidth = size / _fastest(lambda: torch.sum(buffer), 2 * seconds, clock)
    finally:
        torch.set_num_threads(before)
    fastest = max(peaks, key=lambda each: peaks[each])
    return Ceilings(
        peak_flops=peaks[fastest],
        bandwidth=bandwidth,
        threads=threads,
        how=f"the fastest {fastest}, and sum of {size / 2**20:.0f} MiB{beside},"
        f" f32, PyTorch {torch.__version__}",
        cpu=machine()["cpu"],
    )


def _product(side: int, seconds: float, clock: Callable[[], float]) -> float:
    import torch

    one, other, out = torch.rand(side, side), torch.rand(side, side), torch.empty(side, side)
    return _fastest(lambda: torch.mm(one, other, out=out), seconds, clock)


def _convolution(channels: int, side: int, seconds: float, clock: Callable[[], float]) -> float:
    import torch

    image = torch.rand(1, channels, side, side).to_mkldnn()
    weight = torch.rand(channels, channels, 3, 3).to_mkldnn()
    with torch.inference_mode():
        return _fastest(lambda: torch.nn.functional.conv2d(image, weight, padding=1), seconds, clock)


def _fastest(call: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    """Return the shortest of the calls that fit into `seconds`, after one that is not timed."""
    call()
    taken: list[float] = []
    end = clock() + seconds
    while len(taken) < FEWEST or clock() < end:
        start = clock()
        call()
        taken.append(clock() - start)
    return min(taken)


def _buffer() -> tuple[int, str]:
    """Return the size of a buffer that the LLC cannot hold, and what has to be said where there is none."""
    from perfcounters import caches
    from perfcounters.errors import PerfCountersError

    most = psutil.virtual_memory().available // _SHARE
    try:
        llc = caches.resolve("host")[0].llc.size
    except PerfCountersError:
        return min(_SMALLEST_BUFFER, most), " (LLC not known)"
    size = min(max(_SMALLEST_BUFFER, _LLCS * llc), most) // 4096 * 4096
    return size, "" if size >= 2 * llc else f" (not twice the LLC's {llc / 2**20:.0f}: it may read the cache)"
