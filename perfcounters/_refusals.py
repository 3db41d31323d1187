"""What the kernel's refusal of an event means, and what the user can do about it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from perfcounters import _environment, _kernel, pmus
from perfcounters.errors import (
    CounterError,
    CounterLimitError,
    CounterPermissionError,
    EventUnavailableError,
    TooManyEventsError,
)

if TYPE_CHECKING:
    from perfcounters.events import Event

_SANDBOX = (
    "a sandbox (seccomp) filters this process's system calls, as container engines do: start the"
    " container with --cap-add PERFMON, or with a seccomp profile that allows perf_event_open"
)


def explain(error: OSError, event: Event, *, scope: str = "thread") -> CounterError:
    """
    Turn the errno of a refused open into the error with its cause and remedy.

    Args:
        scope: Whose events were asked for.
    """
    number = error.errno or 0
    level = _kernel.paranoid()
    kind, why = _cause(number, event, level, scope)
    message = f"cannot count {event.name}: {why}"
    return kind(message, event=event.name, errno=number, paranoid=level)


_INHERITS_THREADS_ALONE = (5, 13)
_CAUSES: dict[int, tuple[type[CounterError], str]] = {
    errno.EMFILE: (CounterLimitError, "no file descriptor is left. Raise the limit: ulimit -n 65536"),
    errno.ENFILE: (
        CounterLimitError,
        "the whole system has no file descriptor left. Raise it: sysctl fs.file-max",
    ),
    errno.ENOSPC: (TooManyEventsError, "the processor's breakpoint registers are all in use; ask for fewer"),
    errno.EBUSY: (CounterError, "another program holds the PMU for itself, such as a profiler; end it first"),
    errno.EINVAL: (
        EventUnavailableError,
        "the kernel finds its encoding invalid (EINVAL): check its terms, and whether its PMU counts tasks",
    ),
    errno.E2BIG: (
        EventUnavailableError,
        "this kernel does not know all that it was asked for (E2BIG): Linux 5.13 or later is needed",
    ),
}


def _cause(number: int, event: Event, level: int | None, scope: str) -> tuple[type[CounterError], str]:
    if number in (errno.EACCES, errno.EPERM):
        return CounterPermissionError, _permission(number, level, whole_cpus=scope == "cpu")
    if number == errno.EINVAL and scope == "process" and (0, 0) < _kernel.release() < _INHERITS_THREADS_ALONE:
        return EventUnavailableError, (
            'scope="process" needs Linux 5.13 or later, which can leave child processes out, and this is'
            f' {_kernel.text("/proc/sys/kernel/osrelease")}; use scope="tree", which counts them too'
        )
    if number in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.ENXIO):
        return EventUnavailableError, _absent(event)
    if number == errno.ENOSYS:
        if _environment.sandboxed():
            return CounterPermissionError, _SANDBOX
        return EventUnavailableError, "this kernel is built without perf events (CONFIG_PERF_EVENTS)"
    unknown = (CounterError, f"the kernel answered {errno.errorcode.get(number, number)}")
    return _CAUSES.get(number, unknown)


def _permission(number: int, level: int | None, *, whole_cpus: bool) -> str:
    needed = 0 if whole_cpus else 2
    if level is not None and level > needed:
        what = " to count whole CPUs" if whole_cpus else ""
        return (
            f"permission denied. perf_event_paranoid is {level}; it must be {needed} or lower{what}"
            f" ({_environment.paranoid_setter()}). Run: sudo sysctl kernel.perf_event_paranoid={needed}"
        )
    named = errno.errorcode.get(number, number)
    refused = f"permission denied ({named}) though perf_event_paranoid is {level}"
    needs = _SANDBOX if _environment.sandboxed() else "the capability CAP_PERFMON is needed"
    return f"{refused}: {needs}"


def _absent(event: Event) -> str:
    if event.source == "software":
        return "this kernel does not have it"
    if not pmus.core():
        virtual = " (it is a virtual machine)" if _environment.virtual() else ""
        return (
            f"this machine shows no performance counters{virtual}. Run on real hardware or turn on"
            " the PMU for the virtual machine; software events are counted here, and misses can be simulated"
        )
    return f"this processor's PMU ({', '.join(pmus.core())}) does not have it"
