"""Run a command and count its events, those of its children included."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from perfcounters import _arrange, _attach, _terminal, events, listing
from perfcounters._session import Scope, Session, Snapshot
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from perfcounters.reading import Reading

DEFAULT = (
    *("task-clock", "context-switches", "cpu-migrations", "page-faults"),
    *("instructions", "cycles", "branches", "branch-misses", "LLC-misses", "LLC-references"),
)
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128
_FORWARDED = {
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
}
_FROM_THE_KERNEL = 0x80  # SI_KERNEL (asm-generic/siginfo.h), which the signal module lacks
_NAMES_AT = 28  # the column of a table in which names begin
_BETWEEN_EVENTS = re.compile(r",(?=(?:[^/]*/[^/]*/)*[^/]*$)")


@dataclass(frozen=True)
class Run:
    """One run of the command: its wall time in seconds, exit status (128 + signal), and counts."""

    seconds: float
    status: int
    reading: Reading


@dataclass(frozen=True)
class _Signals:
    """The signals that are blocked, and those of `_signals_blocked` that are ignored."""

    mask: set[int]
    ignored: Sequence[int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-e",
        "--events",
        action="append",
        help="names between commas; may be given again (default: what can be counted of a usual set)",
    )
    parser.add_argument(
        "-a",
        "--all-cpus",
        action="store_true",
        help="count everything that runs on the machine meanwhile: for uncore events; needs privileges",
    )
    parser.add_argument("-r", "--repeat", type=int, default=1, metavar="N", help="run the command N times")
    parser.add_argument("-j", "--json", action="store_true", help="write JSON")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there instead of to stderr")
    parser.add_argument("argv", nargs="+", metavar="COMMAND", help="after --: the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Run the command as often as asked, write the table, give the last run's exit status."""
    refused: dict[str, str] = {}
    prepared = []
    scope: Scope = "cpu" if arguments.all_cpus else "tree"
    asked = DEFAULT if arguments.events is None else _BETWEEN_EVENTS.split(",".join(arguments.events))
    for name in dict.fromkeys(asked):
        try:
            prepared.append(_attach.prepare(events.resolve(name), scope))
        except PerfCountersError as error:
            if arguments.events is not None:
                raise
            refused[name] = str(error).removeprefix(f"cannot count {name}: ")
    if arguments.output is not None:
        arguments.output.touch()  # fail before the work, not after
    groups = _arrange.arrange(prepared, scope)
    runs: list[Run] = []
    while len(runs) < max(1, arguments.repeat) and not (runs and runs[-1].status > _BY_SIGNAL):
        runs.append(count(arguments.argv, groups, scope))
    if arguments.json:
        text = _as_json(arguments.argv, runs, refused)
    else:
        text = table(arguments.argv, runs, refused, width(arguments.output))
    if arguments.output is None:
        sys.stderr.write(text)
    else:
        arguments.output.write_text(text, encoding="utf-8")
    return runs[-1].status


def width(output: Path | None) -> int | None:
    """Return the width of a table that goes to a file or, without one, to stderr; None for any width."""
    return None if output else _terminal.columns(sys.stderr)


def count(argv: Sequence[str], groups: Sequence[Sequence[_attach.Prepared]], scope: Scope = "tree") -> Run:
    """
    Run a command and count from its first instruction to its end; in scope ``cpu``, everything meanwhile.

    Raises:
        CounterError: The events can't be opened on it.
    """
    with _signals_blocked() as signals:
        return _counted(argv, groups, scope, signals)


def _counted(
    argv: Sequence[str],
    groups: Sequence[Sequence[_attach.Prepared]],
    scope: Scope,
    signals: _Signals,
) -> Run:
    waiting, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        _become(argv, waiting, signals)
    os.close(waiting)
    try:
        session = Session(groups, scope, scale=True, task=None if scope == "cpu" else child)
    except BaseException:
        os.close(go)  # without the word to go, the child ends
        os.waitpid(child, 0)
        raise
    try:
        before = Snapshot(session, session.read())
        start = time.perf_counter()
        os.write(go, b"g")
        os.close(go)
        status = _wait(child)
        seconds = time.perf_counter() - start
        reading = Snapshot(session, session.read()) - before
    finally:
        session.close()
    code = os.waitstatus_to_exitcode(status)
    return Run(seconds, code if code >= 0 else _BY_SIGNAL - code, reading)


def _become(argv: Sequence[str], waiting: int, signals: _Signals) -> None:
    """Become the command once the parent says so; never returns."""
    status = _NOT_EXECUTABLE
    try:
        if os.read(waiting, 1):
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
                signal.signal(number, signal.SIG_DFL)
            for ignored in signals.ignored:
                signal.signal(ignored, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, signals.mask)
            os.execvp(argv[0], [*argv])  # noqa: S606 - the user's own command  # nosec B606
    except FileNotFoundError:
        os.write(2, f"perfcounters: there is no command {argv[0]}\n".encode())
        status = _NOT_FOUND
    except OSError as error:
        os.write(2, f"perfcounters: cannot run {argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    """
    Wait for the child's end, hand signals on to it meanwhile, and give its wait status.

    What the terminal sends (Ctrl-C) reaches the child by itself, since it is of the same process group; the
    kernel marks it, and it is not handed on a second time.
    """
    while True:
        info = signal.sigwaitinfo(_FORWARDED | {signal.SIGCHLD})
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if info.si_signo != signal.SIGCHLD and info.si_code != _FROM_THE_KERNEL:
            os.kill(child, info.si_signo)


@contextmanager
def _signals_blocked() -> Iterator[_Signals]:
    """Keep signals for `_wait`; the value is how they were before, for the child."""
    # Python's own handler of SIGINT, and an inherited one that lets children vanish, are in the way.
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGCHLD)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED | {signal.SIGCHLD})
    ignored = [number for number, handler in handlers.items() if handler == signal.SIG_IGN]
    try:
        yield _Signals({int(number) for number in mask}, ignored)
    finally:
        while signal.sigtimedwait({signal.SIGCHLD}, 0):
            pass  # what is left is of the child that has ended
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def table(
    argv: Sequence[str], runs: Sequence[Run], refused: dict[str, str], columns: int | None = None
) -> str:
    """
    Write mean and spread of each event over the runs, derived figures, and what was not counted; lines that
    are longer than `columns` are broken.
    """
    times = f" ({len(runs)} runs)" if len(runs) > 1 else ""
    lines = []
    for event in (one.event for one in runs[0].reading):
        counts = [each.reading[event] for each in runs]
        values = [one.value for one in counts if one.value is not None]
        if len(values) < len(runs):
            refused = refused | {event: next(str(one.reason) for one in counts if one.value is None)}
            continue
        notes = [f"without {part}" for part in counts[0].exclusions]
        notes += ["scaled"] if any(one.scaled for one in counts) else []
        notes += ["not validated"] if counts[0].validated is False else []
        noted = f"  [{', '.join(notes)}]" if notes else ""
        scale, unit = counts[0].scale, counts[0].unit
        amount = f"{mean(values):,.0f}" if scale == 1 else f"{mean(values) * scale:,.3f}"
        lines.append(f"{amount:>20} {unit:<6} {event:<18}{_spread(values)}{noted}")
    for name, figure in (("instructions per cycle", "ipc"), ("LLC misses per 1000 instructions", "mpki")):
        ratios = [value for each in runs if (value := getattr(each.reading, figure)) is not None]
        if len(ratios) == len(runs):
            lines.append(f"{mean(ratios):>20.3f} {'':<6} {name}{_spread(ratios)}")
    seconds = [each.seconds for each in runs]
    lines += ["", f"{mean(seconds):>20.6f} s      elapsed{_spread(seconds)}", ""]
    lines += [f"{'not counted':>20}        {name}: {why}" for name, why in listing.by_reason(refused)]
    head = _terminal.wrapped(f" Counts of {' '.join(argv)}{times}:", columns)
    rows = (_terminal.wrapped(line.rstrip(), columns, hang=_NAMES_AT) for line in lines)
    return "\n".join(["", head, "", *rows]) + "\n"


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2 or not mean(values):
        return ""
    return f"  +- {stdev(values) / mean(values):.2%}"


def _as_json(argv: Sequence[str], runs: Sequence[Run], refused: dict[str, str]) -> str:
    each: list[dict[str, Any]] = [
        {"seconds": one.seconds, "status": one.status, "counts": one.reading.to_dict()} for one in runs
    ]
    return json.dumps({"command": list(argv), "runs": each, "not_counted": refused}, indent=2) + "\n"
