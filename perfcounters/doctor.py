"""Say what can be counted on this machine, whether it counts right, and what mends what can't."""

from __future__ import annotations

import json
import platform
import resource
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from perfcounters import _checks, _environment, _kernel, _terminal, events, listing, pmus, processor_id
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_LEVELS = {
    -1: "everybody may count everything",
    0: "ordinary users may count whole CPUs too",
    1: "ordinary users may count their own processes, the kernel's part too",
    2: "ordinary users may count their own processes in user space alone",
}
_CAP = "sudo setcap cap_perfmon=ep $(readlink -f $(which python3))"


@dataclass(frozen=True)
class Finding:
    """
    One line of the doctor's.

    Attributes:
        subject: What was looked at.
        verdict: ``ok``, ``off`` (counts wrong), ``unchecked`` (counted, no known work for it),
            ``refused``, or ``info``.
        text: The figures, or the reason.
        remedy: A command that mends it; empty where there is none or none is needed.
    """

    subject: str
    verdict: str
    text: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; the exit status is 0 if LLC misses can be trusted, else 1."""
    findings, trusted = examine()
    if arguments.json:
        print(json.dumps({"llc_trusted": trusted, "findings": [asdict(one) for one in findings]}, indent=2))
        return 0 if trusted else 1
    refused = {one.subject: one.text for one in findings if one.verdict == "refused"}
    shown = [one for one in findings if one.verdict != "refused"]
    width = max(len(one.subject) for one in shown)
    columns = _terminal.columns(sys.stdout)
    for one in shown:
        line = f"{one.subject:<{width}}  {one.verdict:<9}  {one.text}"
        print(_terminal.wrapped(line, columns, hang=width + 13))
        if one.remedy:
            print(f"{'':<{width}}  {'':<9}  -> {one.remedy}")
    for names, why in listing.by_reason(refused):
        print(_terminal.fitted((f"refused: {names}", f"    {why}"), columns))
    print(f"LLC misses {'can' if trusted else 'cannot'} be trusted here.")
    return 0 if trusted else 1


def examine() -> tuple[list[Finding], bool]:
    """Look at everything; the second value says whether LLC misses can be trusted."""
    counted = {name: _event(name) for name in events.known_names()}
    findings = [*_machine(), *_privileges(), *_limits(), *counted.values(), _breakpoints()]
    return findings, counted["LLC-misses"].verdict == "ok"


def _machine() -> Iterator[Finding]:
    yield Finding("processor", "info", f"{processor_id.identify().name}, Linux {platform.release()}")
    if _environment.virtual():
        yield Finding("hypervisor", "info", "a virtual machine: it has the PMU that its host gives it")
    yield Finding("PMUs", "info", ", ".join(pmus.listed()) or "none listed")
    if pmus.core():
        yield Finding("core PMU", "info", ", ".join(pmus.core()))
        how = "read in user space" if pmus.read_in_user_space() else "read by a system call"
        yield Finding("registers", "info", f"a thread's own hardware events are {how}")
    else:
        yield Finding("core PMU", "info", "none: no hardware event can be counted")


def _privileges() -> Iterator[Finding]:
    level = _kernel.paranoid()
    if level is None:
        yield Finding("perf_event_paranoid", "info", "there is none: this kernel has no perf events")
    else:
        closed = level > max(_LEVELS)
        means = "ordinary users may count nothing" if closed else _LEVELS.get(level, _LEVELS[-1])
        lifted = level <= 2 and _environment.capability() is not None
        wanted = 2 if closed else 1
        remedy = f"sudo sysctl kernel.perf_event_paranoid={wanted}" if level > 1 and not lifted else ""
        setter = _environment.paranoid_setter()
        yield Finding("perf_event_paranoid", "info", f"{level}: {means} ({setter})", remedy)
    capability = _environment.capability()
    if capability:
        yield Finding(
            "capabilities", "info", f"{capability}: this process may count more than ordinary users"
        )
    else:
        yield Finding("capabilities", "info", "neither CAP_PERFMON nor CAP_SYS_ADMIN", _CAP)
    engine, filtered = _environment.container(), _environment.sandboxed()
    if engine or filtered:
        where = f"in a container of {engine}" if engine else "in a sandbox"
        seccomp = "seccomp filters its system calls" if filtered else "no seccomp filter"
        remedy = "docker run --cap-add PERFMON ..." if filtered else ""
        yield Finding("container", "info", f"this process runs {where}; {seccomp}", remedy)


def _limits() -> Iterator[Finding]:
    if pmus.core() and _kernel.text("/proc/sys/kernel/nmi_watchdog") not in (None, "0"):
        setter = _environment.set_in("kernel.nmi_watchdog")
        by = f" (set in {setter})" if setter else ""
        yield Finding(
            "NMI watchdog", "info", f"on, which takes one counter{by}", "sudo sysctl kernel.nmi_watchdog=0"
        )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = hard != resource.RLIM_INFINITY and hard < 4096
    yield Finding(
        "descriptors",
        "info",
        f"{_limit(soft)}, raised up to {_limit(hard)} on demand; events x threads are needed",
        "ulimit -Hn 65536, as root or in /etc/security/limits.conf" if few else "",
    )


def _limit(number: int) -> str:
    return "unlimited" if number == resource.RLIM_INFINITY else f"{number:,}"


def _event(name: str) -> Finding:
    opens, text = listing.state(name)
    if not opens:
        return Finding(name, "refused", text)
    check = _checks.CHECKS.get(name)
    if check is None:
        return Finding(name, "unchecked", text)
    try:
        return _judged(name, check(name))
    except PerfCountersError as error:
        return Finding(name, "refused", str(error))


def _breakpoints() -> Finding:
    name = "mem:ADDRESS/8:w"
    try:
        return _judged(name, _checks.breakpoints())
    except PerfCountersError as error:
        return Finding(name, "refused", str(error).replace("\n", " "))


def _judged(name: str, outcome: _checks.Outcome) -> Finding:
    if outcome.right is None:
        return Finding(name, "refused", outcome.text)
    return Finding(name, "ok" if outcome.right else "off", outcome.text)
