"""Say what can be counted on this machine, whether it counts right, and what mends what can't."""

from __future__ import annotations

import json
import platform
import resource
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from perfcounters import _kernel, events, known_work, listing, pmus, processor_id, trust
from perfcounters.counters import Counters
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_TOLERANCE = 0.02
_LOOPS = 10_000_000
_PAGES = 1000
_BUSY_SECONDS = 0.1


@dataclass(frozen=True)
class Finding:
    """
    One line of the doctor's.

    Attributes:
        subject: What was looked at.
        verdict: ``ok``, ``off`` (counts wrong), ``unchecked`` (counted, no known work for it),
            ``refused`` or ``info``.
        text: The figure, or the reason with its remedy.
    """

    subject: str
    verdict: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; the exit status is 0 if LLC misses can be trusted, else 1."""
    findings, trusted = examine()
    if arguments.json:
        print(json.dumps({"llc_trusted": trusted, "findings": [asdict(one) for one in findings]}, indent=2))
    else:
        width = max(len(one.subject) for one in findings)
        for one in findings:
            print(f"{one.subject:<{width}}  {one.verdict:<9}  {one.text}")
        print(f"LLC misses {'can' if trusted else 'cannot'} be trusted here.")
    return 0 if trusted else 1


def examine() -> tuple[list[Finding], bool]:
    """Look at everything; the second value says whether LLC misses can be trusted."""
    llc = trust.llc()
    checked: dict[str, Callable[[], tuple[float | None, str]]] = {
        "instructions": _instructions,
        "page-faults": _page_faults,
        "task-clock": _task_clock,
        "LLC-misses": lambda: _verdict_of(llc),
    }
    findings = _machine()
    for name in events.known_names():
        opens, text = listing.state(name)
        if name in checked and opens:
            findings.append(_checked(name, checked[name]()))
        else:
            findings.append(Finding(name, "unchecked" if opens else "refused", text))
    return findings, llc.trusted


def _machine() -> list[Finding]:
    level = _kernel.paranoid()
    means = {
        None: "this kernel has no perf events",
        -1: "everybody may count everything",
        0: "ordinary users may count whole CPUs too",
        1: "ordinary users may count their own processes, the kernel's part too",
        2: "ordinary users may count their own processes in user space alone",
    }
    closed = "ordinary users may count nothing; sudo sysctl kernel.perf_event_paranoid=2 lets them"
    watchdog = _kernel.text("/proc/sys/kernel/nmi_watchdog")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    findings = [
        Finding("processor", "info", f"{processor_id.identify().name}, Linux {platform.release()}"),
        Finding("PMUs", "info", ", ".join(pmus.listed()) or "none listed"),
        Finding("core PMU", "info", ", ".join(pmus.core()) or "none: no hardware event can be counted"),
        Finding("perf_event_paranoid", "info", f"{level}: {means.get(level, closed)}"),
        Finding("descriptors", "info", f"{soft} (up to {hard}); events x threads are needed"),
    ]
    if pmus.core() and watchdog not in (None, "0"):
        text = "on, which takes one counter; sudo sysctl kernel.nmi_watchdog=0 gives it back"
        findings.append(Finding("NMI watchdog", "info", text))
    return findings


def _checked(name: str, outcome: tuple[float | None, str]) -> Finding:
    ratio, text = outcome
    if ratio is None:
        return Finding(name, "refused", text)
    tolerance = trust.TOLERANCE if name == "LLC-misses" else _TOLERANCE
    return Finding(name, "ok" if abs(ratio - 1) <= tolerance else "off", text)


def _verdict_of(llc: trust.Trust) -> tuple[float | None, str]:
    # A walk of known hits that counted as misses makes a right ratio wrong.
    return (llc.ratio if llc.trusted or llc.ratio is None else float("inf")), llc.reason


def _instructions() -> tuple[float | None, str]:
    name = "instructions:u"
    try:
        with Counters(name, scope="thread") as counters:
            value = counters.call(known_work.instructions_address(), _LOOPS)[name]
    except PerfCountersError as error:
        return None, str(error)
    return _compared(value.value, 2 * _LOOPS, value.reason, "instructions of a loop")


def _page_faults() -> tuple[float | None, str]:
    with Counters("page-faults", scope="thread") as counters:
        known_work.page_faults(_PAGES)
    count = counters.reading["page-faults"]
    return _compared(count.value, _PAGES, count.reason, "touches of fresh pages")


def _task_clock() -> tuple[float | None, str]:
    with Counters("task-clock", scope="thread") as counters:
        start = now = time.thread_time_ns()
        while now - start < _BUSY_SECONDS * 1e9:
            now = time.thread_time_ns()
    count = counters.reading["task-clock"]
    return _compared(count.value, now - start, count.reason, "ns of a busy loop by the thread's clock")


def _compared(value: int | None, known: int, reason: str | None, what: str) -> tuple[float | None, str]:
    if value is None:
        return None, str(reason)
    return value / known, f"counted {value:,} for {known:,} {what}: off by {value / known - 1:+.2%}"
