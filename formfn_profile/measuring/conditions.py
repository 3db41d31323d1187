"""What else the machine did during a timed run: other processes, clock frequency, throttling."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Conditions:
    """
    The machine during one timed run.

    `others_cpus` is how many CPUs other processes kept busy on average, `involuntary_switches` how
    often the kernel took the CPU from this process, `throttled` how often the cgroup's quota stopped
    it. `kernel_share` is the part of the process's CPU time that the kernel took, and `page_faults` how
    often it gave the process a page (`ru_minflt`). What the system does not tell is None.
    """

    others_cpus: float
    involuntary_switches: int
    throttled: int | None
    frequency_before_mhz: float | None
    frequency_after_mhz: float | None
    load_before: float
    kernel_share: float
    page_faults: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON-ready mapping."""
        return asdict(self)


class Watch:
    """Reads the machine's state when made; `conditions` says what happened since."""

    def __init__(self) -> None:
        """Take the first reading."""
        self._process = psutil.Process()
        self._load = os.getloadavg()[0]
        self._frequency = _frequency_mhz()
        self._throttled = throttle_count()
        self._switches = self._process.num_ctx_switches().involuntary
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self._busy, self._user, self._system, self._clock = self._times()

    def conditions(self) -> Conditions:
        """Return what the machine did since this watch was made."""
        busy, user, system, clock = self._times()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        elapsed = max(clock - self._clock, 1e-9)
        kernel = system - self._system
        own = user - self._user + kernel
        throttled = throttle_count()
        return Conditions(
            others_cpus=max(0.0, (busy - self._busy) - own) / elapsed,
            involuntary_switches=self._process.num_ctx_switches().involuntary - self._switches,
            throttled=None if throttled is None or self._throttled is None else throttled - self._throttled,
            frequency_before_mhz=self._frequency,
            frequency_after_mhz=_frequency_mhz(),
            load_before=self._load,
            kernel_share=kernel / own if own > 0 else 0.0,
            page_faults=faults - self._faults,
        )

    def _times(self) -> tuple[float, float, float, float]:
        """CPU seconds of the machine, of this process, of the kernel for it, and monotonic seconds."""
        machine = psutil.cpu_times()
        own = self._process.cpu_times()
        busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
        return busy, own.user, own.system, time.monotonic()


def throttle_count(cgroup: Path | None = None) -> int | None:
    """
    Return how many times the cgroup's CPU quota has stopped this process, or None where no quota is
    kept.
    """
    for folder in [cgroup] if cgroup else cgroup_folders():
        try:
            lines = (folder / "cpu.stat").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == "nr_throttled" and value.isdecimal():
                return int(value)
    return None


def cgroup_folders(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> list[Path]:
    """
    Return the folders of this process's CPU cgroup, innermost first, for cgroup v2 and for v1's `cpu`
    controller.
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        if controllers == "" or "cpu" in controllers.split(","):
            base = root if controllers == "" else root / "cpu"
            inner = base / path.lstrip("/")
            folders += [inner, *(each for each in inner.parents if each == base or base in each.parents)]
    return folders


def _frequency_mhz() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    # psutil gives None where the kernel tells no frequency; its stubs do not know.
    return getattr(frequency, "current", None)
