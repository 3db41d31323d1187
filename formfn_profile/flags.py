"""
What makes a record's latency doubtful, found in its samples and in what the machine did meanwhile.

Flags are computed from a record where it is shown, and never stored: an old record gains the flags of a
newer version. The rules that are tests of chance (drift, two modes) raise an alarm on independent
samples of one distribution in at most 1 of 100 records.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from formfn_profile.association import spearman
from formfn_profile.dip import has_modes
from formfn_profile.samples import median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from formfn_profile.results import Record

__all__ = ["Flag", "flags"]

WIDE_INTERVAL = "wide interval"
FEWEST = 10  # samples, below which neither drift nor modes can be told from chance

WIDE = 0.05
DRIFT = 0.02
DRIFT_DEVIATIONS = 2.5758  # 1 in 100, both ways
MODES_APART = 0.05
MODES_SHARE = 0.10
CLOCK = 0.05
OTHERS = 0.10
KERNEL = 0.20


@dataclass(frozen=True)
class Flag:
    """One doubt: its `name`, what was seen with figures in `text`, and what may help."""

    name: str
    text: str
    remedy: str


def flags(record: Record) -> tuple[Flag, ...]:
    """Return the flags of a record that was timed; none for any other."""
    if record.status != "ok" or not record.latency_s:
        return ()
    found = (
        _unsettled(record),
        drift(record.latency_s),
        modes(record.latency_s),
        wide(record.latency_s),
        clock(record),
        throttled(record),
        others(record),
        kernel(record),
        threads(record),
    )
    return tuple(flag for flag in found if flag)


def drift(samples: Sequence[float]) -> Flag | None:
    """
    Flag latencies that rise or fall with time.

    Both must hold: Spearman's correlation of latency and time is over 2.58 standard deviations from 0
    (1 in 100 by chance), and the medians of the first and last third differ by over 2%.
    """
    n = len(samples)
    if n < FEWEST:
        return None
    rho = spearman(samples, range(n))
    third = n // 3
    first, last = statistics.median(samples[:third]), statistics.median(samples[-third:])
    if rho is None or abs(rho) * math.sqrt(n - 1) <= DRIFT_DEVIATIONS or abs(last / first - 1) <= DRIFT:
        return None
    return Flag(
        "drift",
        f"calls went from {_ms(first)} to {_ms(last)} (medians of the first and last third of {n})",
        "Warm up longer, or leave the machine alone",
    )


def modes(samples: Sequence[float]) -> Flag | None:
    """
    Flag latencies that fall into two groups.

    All must hold: one mode is refuted by Hartigan's dip at 1%; of the two groups that explain most of
    the variance each has 10% of the calls; their medians differ by over 5% of the smaller.
    """
    if len(samples) < FEWEST:
        return None
    fast, slow = two_groups(samples)
    share = len(slow) / len(samples)
    if not MODES_SHARE <= share <= 1 - MODES_SHARE:
        return None
    low, high = statistics.median(fast), statistics.median(slow)
    if high <= low * (1 + MODES_APART) or not has_modes(samples):  # in this order: the dip takes longest
        return None
    return Flag(
        "two modes",
        f"{1 - share:.0%} of calls take about {_ms(low)}, {share:.0%} about {_ms(high)}",
        "The median is one of the two, by chance: leave the machine alone, or use fewer threads",
    )


def two_groups(samples: Sequence[float]) -> tuple[list[float], list[float]]:
    """Cut the sorted samples in two where that explains most of their variance."""
    ordered = sorted(samples)
    n, total = len(ordered), math.fsum(ordered)
    best, cut, below = -1.0, 1, 0.0
    for i in range(1, n):
        below += ordered[i - 1]
        between = i * (n - i) * (below / i - (total - below) / (n - i)) ** 2
        if between > best:
            best, cut = between, i
    return ordered[:cut], ordered[cut:]


def wide(samples: Sequence[float]) -> Flag | None:
    """Flag a 95% interval of the median that is wider than 5% of it."""
    interval, median = median_interval(samples), statistics.median(samples)
    if interval is None or interval[1] - interval[0] <= WIDE * median:
        return None
    share = (interval[1] - interval[0]) / median
    return Flag(
        WIDE_INTERVAL,
        f"the median's interval, {_ms(interval[0])} to {_ms(interval[1])}, is {share:.0%} of it",
        "Time more calls",
    )


def clock(record: Record) -> Flag | None:
    """Flag a CPU whose clock was over 5% faster or slower after the timed calls than before them."""
    before = record.conditions.get("frequency_before_mhz")
    after = record.conditions.get("frequency_after_mhz")
    if not before or not after or abs(after / before - 1) <= CLOCK:
        return None
    return Flag(
        "clock",
        f"the CPU's clock went from {before:.0f} to {after:.0f} MHz",
        "Set the governor to performance, or warm up longer",
    )


def throttled(record: Record) -> Flag | None:
    """Flag a run that the cgroup's CPU quota stopped."""
    times = record.conditions.get("throttled")
    if not times:
        return None
    return Flag(
        "throttled",
        f"the cgroup's CPU quota stopped the process {times} time{'s' if times > 1 else ''}",
        "Raise the quota, or use fewer threads",
    )


def others(record: Record) -> Flag | None:
    """Flag other processes that kept over 10% of the machine's CPUs busy."""
    busy, cpus = record.conditions.get("others_cpus"), record.machine.get("cpus")
    if busy is None or not cpus or busy <= OTHERS * cpus:
        return None
    return Flag("load", f"other processes kept {busy:.2f} of {cpus} CPUs busy", "Leave the machine alone")


def kernel(record: Record) -> Flag | None:
    """Flag calls in which the kernel took over 20% of the CPU time: it is not the network that is timed."""
    share, faults = record.conditions.get("kernel_share"), record.conditions.get("page_faults")
    if share is None or faults is None or share <= KERNEL:
        return None
    faults_a_call = faults / len(record.latency_s)
    return Flag(
        "kernel time",
        f"{share:.0%} of the CPU time was the kernel's, with {faults_a_call:,.0f} page faults a call",
        "Where large buffers go back to the system at each call, glibc keeps them with MALLOC_MMAP_MAX_=0"
        " MALLOC_TRIM_THRESHOLD_=100000000000 in the environment",
    )


def threads(record: Record) -> Flag | None:
    """Flag more threads than the affinity mask and the cgroup's quota leave CPUs for."""
    affinity, quota = record.machine.get("affinity"), record.machine.get("cpu_quota")
    limits = [
        (limit, what)
        for limit, what in ((affinity, "its affinity mask allows"), (quota, "the cgroup's quota allows"))
        if limit is not None and record.threads > max(1, limit)
    ]
    if not limits:
        return None
    limit, what = min(limits)
    return Flag(
        "threads",
        f"{record.threads} threads, but {what} {limit:g} CPU{'s' if limit != 1 else ''}",
        f"Use --threads {max(1, math.floor(limit))}",
    )


def _unsettled(record: Record) -> Flag | None:
    if record.settled is not False:
        return None
    calls = len(record.warmup_s)
    return Flag(
        "not steady",
        f"the median still moved after {calls} warm-up calls in {math.fsum(record.warmup_s):.2g} s",
        "Raise --warmup-seconds",
    )


def _ms(seconds: float) -> str:
    milliseconds = 1e3 * seconds
    return f"{milliseconds:.0f} ms" if milliseconds >= 99.95 else f"{milliseconds:.3g} ms"
