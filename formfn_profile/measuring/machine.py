"""What the machine is, for the record, and how many threads it really has for us."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from formfn_profile.errors import MeasurementError
from formfn_profile.measuring.conditions import cgroup_folders

_COUNT = re.compile(r"[1-9][0-9]{0,15}")

# Of the process and the moment, or a name that says who measured where.
_PYPERF_OWN = frozenset(
    {
        *("hostname", "date", "duration", "mem_max_rss", "command_max_rss", "load_avg_1min", "uptime"),
        *("runnable_threads", "python_executable", "python_cflags", "python_config_args"),
    }
)


def machine() -> dict[str, Any]:
    """
    Return what is needed to know a machine again: processor, caches, memory, kernel, governor,
    virtualisation.

    Raises:
        MeasurementError: There is no /proc.
    """
    if not Path("/proc/self/stat").exists():
        raise MeasurementError(
            "/proc is not mounted, which tells threads, memory and CPU time. Run: mount -t proc proc /proc"
        )
    from perfcounters import caches
    from perfcounters.errors import PerfCountersError

    try:
        host = caches.resolve("host")[0].describe()
    except PerfCountersError:
        host = None
    info = _cpuinfo()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "caches": host,
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "cores": psutil.cpu_count(logical=False),
        "affinity": len(os.sched_getaffinity(0)),
        "cpu_quota": cpu_quota(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.system(),
        "kernel": platform.release(),
        "governor": _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "virtual": "hypervisor" in info.get("flags", "").split(),
        **software(),
        "pyperf": _pyperf(),
    }


def software() -> dict[str, str | None]:
    """Return the versions of what measures and is measured, in this interpreter."""
    return {name: _version(name) for name in ("torch", "openvino", "onnxruntime", "nncf", "formfn_profile")}


def software_of(interpreter: str) -> dict[str, str | None]:
    """
    Return the same of another Python interpreter.

    Raises:
        MeasurementError: It cannot be run, or this package is not installed there.
    """
    code = "import json; from formfn_profile.measuring.machine import software; print(json.dumps(software()))"
    try:
        done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MeasurementError(f"cannot run {interpreter}: {error.strerror}") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise MeasurementError(
            f"{interpreter} cannot measure: {said[0]}. Install formfn-profile there, with the same backends"
        )
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _pyperf() -> dict[str, Any]:
    """What pyperf notes of a machine: boot time, clock source, mitigations, turbo, and more."""
    import pyperf

    found: dict[str, Any] = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    return {key: value for key, value in found.items() if key not in _PYPERF_OWN}


def usable_cpus() -> int:
    """Return how many CPUs the affinity mask and the cgroup's quota leave this process, 1 at least."""
    quota = cpu_quota()
    affinity = len(os.sched_getaffinity(0))
    return affinity if quota is None else max(1, min(affinity, math.floor(quota)))


def cpu_quota(folders: list[Path] | None = None) -> float | None:
    """Return the smallest CPU quota of the cgroups this process is in, in CPUs; None where none is set."""
    pairs: list[list[str]] = []
    for folder in cgroup_folders() if folders is None else folders:
        pairs.append((_read(folder / "cpu.max") or "").split())
        pairs.append([_read(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")])
    numbers = [[int(word) for word in pair if _COUNT.fullmatch(word)] for pair in pairs]  # not "max", -1
    return min((pair[0] / pair[1] for pair in numbers if len(pair) == 2), default=None)


def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo."""
    block = (_read(Path("/proc/cpuinfo")) or "").split("\n\n", maxsplit=1)[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
