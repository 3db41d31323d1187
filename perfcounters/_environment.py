"""What decides which counters a process may have: sysctls and who set them, sandboxes, capabilities."""

from __future__ import annotations

import re

from perfcounters import _kernel

# In the order in which systemd-sysctl and procps look: a file hides those of its name further down.
_SYSCTL_FOLDERS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
_SECCOMP = re.compile(r"^Seccomp:\s*([12])$", re.MULTILINE)
_CAPABILITIES = re.compile(r"^CapEff:\s*([0-9a-f]+)$", re.MULTILINE)
_HYPERVISOR = re.compile(r"^flags\s*:.*\bhypervisor\b", re.MULTILINE)
_CAP_SYS_ADMIN, _CAP_PERFMON = 21, 38
_CONTAINER_FILES = {"/.dockerenv": "Docker", "/run/.containerenv": "Podman"}


def sandboxed() -> bool:
    """Tell whether seccomp filters this process's system calls."""
    return _SECCOMP.search(_kernel.text("/proc/self/status") or "") is not None


def capability() -> str | None:
    """Name the capability that lets this process count more than ordinary users; None without."""
    found = _CAPABILITIES.search(_kernel.text("/proc/self/status") or "")
    held = int(found[1], 16) if found else 0
    if held >> _CAP_SYS_ADMIN & 1:
        return "CAP_SYS_ADMIN"
    return "CAP_PERFMON" if held >> _CAP_PERFMON & 1 else None


def container() -> str | None:
    """Name the container engine that this process seems to run under; None without."""
    return next((engine for path, engine in _CONTAINER_FILES.items() if _kernel.text(path) is not None), None)


def virtual() -> bool:
    """Tell whether this is a virtual machine that shows itself as one."""
    return _HYPERVISOR.search(_kernel.text("/proc/cpuinfo") or "") is not None


def set_in(sysctl: str) -> str | None:
    """Give the file that sets a sysctl (as in ``kernel.perf_event_paranoid``) at boot; None if none does."""
    files: dict[str, str] = {}
    for folder in _SYSCTL_FOLDERS:
        for name in _kernel.names(folder):
            if name.endswith(".conf"):
                files.setdefault(name, f"{folder}/{name}")
    ordered = [files[name] for name in sorted(files)]
    # procps reads this one last; systemd by way of a link 99-sysctl.conf.
    ordered.append("/etc/sysctl.conf")
    return next((path for path in reversed(ordered) if _sets(path, sysctl)), None)


def _sets(path: str, sysctl: str) -> bool:
    wanted = sysctl.replace(".", "/")
    for line in (_kernel.text(path) or "").splitlines():
        key, equals, _ = line.strip().partition("=")
        if equals and key.strip().lstrip("-").replace(".", "/") == wanted:
            return True
    return False


def paranoid_setter() -> str:
    """Say in a few words where the level of ``perf_event_paranoid`` comes from."""
    path = set_in("kernel.perf_event_paranoid")
    if path is not None:
        return f"set in {path}"
    level = _kernel.paranoid()
    if level is None or level <= 2:
        return "set at run time" if level is not None and level < 2 else "the kernel's default"
    return f"a distribution's patch of the kernel: Linux itself knows no level {level}"
