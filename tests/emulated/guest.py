# Long: one program, which is copied into the machine.
"""Runs inside the emulated machine; each check prints one RESULT line, judged outside."""

import contextlib
import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path

from perfcounters import (
    Counters,
    _arrange,
    _attach,
    _kernel,
    countable,
    doctor,
    errors,
    events,
    known_work,
    pmus,
    stat,
    trust,
)

N = 1_000_000
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def fields(reading):
    return reading.to_dict()


def work():
    known_work.instructions(N)


class Pool:
    def __init__(self, n):
        self.jobs, self.done = queue.SimpleQueue(), queue.SimpleQueue()
        for _ in range(n):
            threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            self.done.put(self.jobs.get()())

    def run(self, job, times):
        for _ in range(times):
            self.jobs.put(job)
        for _ in range(times):
            self.done.get()


@check
def loop():
    """Instructions and cycles of a loop, called from C between two reads."""
    with Counters("instructions:u", "cycles:u", scope="thread") as counters:
        readings = [
            (n, counters.call(known_work.instructions_address(), n)) for n in (1, N, 3 * N, 2_200_000_000)
        ]
    return {"counts": [(n, r["instructions:u"].value, r["cycles:u"].value) for n, r in readings]}


@check
def python_window():
    """The same around a Python call, twice the work each time."""
    with Counters("instructions:u", scope="thread") as counters:
        counts = []
        for n in (N, N, N, N, 2 * N):
            before = counters.snapshot()
            known_work.instructions(n)
            reading = counters.snapshot() - before
            counts.append(reading["instructions:u"].value)
        overhead = counters.overhead()["instructions:u"].value
    return {"counts": counts, "overhead": overhead}


@check
def names():
    with Counters("instructions", "cycles", scope="thread") as counters:
        work()
    return {"reading": fields(counters.reading), "ipc": counters.reading.ipc}


@check
def in_user_space():
    """The same loop, read with and without user access to the PMU."""
    access = Path("/proc/sys/kernel/perf_user_access")
    found = {}
    for level in ("1", "0"):
        access.write_text(level)
        with Counters("instructions:u", "cycles:u", scope="thread") as counters:
            readings = [
                (n, counters.call(known_work.instructions_address(), n)) for n in (1, N, 2_200_000_000)
            ]
            found[level] = {
                "mapped": counters.snapshot()._session.reader.reads_in_user_space,
                "counts": [(n, r["instructions:u"].value, r["cycles:u"].value) for n, r in readings],
                "reading": fields(readings[-1][1]),
            }
    # The kernel's share of a read is counted too here: only without a system call is it small.
    for level in ("1", "0"):
        access.write_text(level)
        with Counters("instructions", scope="thread") as counters:
            short = (counters.call(known_work.instructions_address(), 1000) for _ in range(10))
            # The timer's interrupt is in some of them.
            found[level]["with_kernel"] = min(one["instructions"].value for one in short) - 2000
    return found


@check
def either_way():
    """The first read of a window in user space, the second by the kernel: the same counter."""
    from perfcounters._perf import ffi

    Path("/proc/sys/kernel/perf_user_access").write_text("1")
    with Counters("instructions:u", scope="thread") as counters:
        counters.snapshot()
        before = counters.snapshot()
        known_work.instructions(10 * N)
        before._session.reader.target.pages = ffi.NULL
        reading = counters.snapshot() - before
    return {"reading": fields(reading), "expected": 20 * N}


@check
def in_another_thread():
    """A register is the calling thread's own: another thread that reads must ask the kernel."""
    Path("/proc/sys/kernel/perf_user_access").write_text("1")
    with Counters("instructions:u", scope="thread") as counters:
        before = counters.snapshot()
        known_work.instructions(10 * N)
        after = []
        thread = threading.Thread(
            target=lambda: (known_work.instructions(10 * N), after.append(counters.snapshot()))
        )
        thread.start()
        thread.join()
        reading = after[0] - before
    Path("/proc/sys/kernel/perf_user_access").write_text("0")
    return {"reading": fields(reading), "expected": 20 * N}


@check
def pool():
    """16 known jobs on four threads that exist."""
    threads = Pool(4)
    threads.run(work, 16)
    with Counters("instructions:u") as counters:
        threads.run(lambda: known_work.instructions(10 * N), 16)
    return {"reading": fields(counters.reading), "expected": 16 * 20 * N}


@check
def helper():
    """A pool's thread starts a thread during the session."""

    def job():
        thread = threading.Thread(target=known_work.instructions, args=(10 * N,))
        thread.start()
        thread.join()

    threads = Pool(2)
    threads.run(job, 2)
    with Counters("instructions:u") as counters:
        threads.run(job, 1)
    return {"reading": fields(counters.reading), "expected": 20 * N}


def many(n):
    """Different names for the event of retired instructions (0x08)."""
    return [f"r{'0' * i}8:u" for i in range(n)]


def uniform():
    known_work.instructions(200 * N)


@check
def twelve_scaled():
    with Counters(*many(12), scope="thread", multiplex="scale") as counters:
        uniform()
    return {"reading": fields(counters.reading), "expected": 400 * N}


@check
def twelve_refused():
    try:
        Counters(*many(12), scope="thread").open()
    except errors.TooManyEventsError as error:
        return {"error": str(error)}
    return {}


@check
def twelve_passes():
    calls = []

    def call():
        calls.append(1)
        known_work.instructions(100 * N)

    reading = Counters(*many(12), scope="thread", multiplex="passes").measure(call)
    return {"reading": fields(reading), "expected": 200 * N, "calls": len(calls)}


@check
def counters_held():
    """Two of six counters are held for good, as the NMI watchdog holds one: pinned, on the whole CPU."""
    from perfcounters._perf import lib

    held = [
        _kernel.open_event(_kernel.Encoding(_kernel.TYPE_RAW, 0x08), flags=lib.PE_PINNED, pid=-1, cpu=0)
        for _ in range(2)
    ]
    try:
        try:
            Counters(*many(6), scope="thread").open()
        except errors.TooManyEventsError as error:
            refused = str(error)
        else:
            refused = ""
        with Counters(*many(6), scope="thread", multiplex="scale") as counters:
            uniform()
        with Counters(*many(4), scope="thread") as four:
            work()
    finally:
        for fd in held:
            _kernel.close(fd)
    return {
        "refused": refused,
        "reading": fields(counters.reading),
        "expected": 400 * N,
        "four": fields(four.reading),
    }


def in_a_child(function):
    """Fork, run, and give the exit status; 99 where it raised."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = function() or 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@check
def children():
    """A forked child's work: in a tree, and nowhere else."""
    found = {}
    for scope in ("thread", "process", "tree"):
        with Counters("instructions:u", scope=scope) as counters:
            in_a_child(lambda: known_work.instructions(10 * N) and 0)
        found[scope] = counters.reading["instructions:u"].value
    return {"counts": found, "expected": 20 * N}


@check
def forked_with_pages():
    """A child whose parent had pages of the PMU mapped: it may close and open counters of its own."""
    Path("/proc/sys/kernel/perf_user_access").write_text("1")
    mine = Counters("instructions:u", scope="thread").open()
    mine.snapshot()

    def child():
        try:
            mine.snapshot()
        except errors.CounterStateError:
            pass
        else:
            return 1
        mine.close()
        with Counters("instructions:u", scope="thread") as own:
            known_work.instructions(N)
        return 0 if own.reading["instructions:u"].value >= 2 * N else 2

    status = in_a_child(child)
    before = mine.snapshot()
    known_work.instructions(N)
    reading = mine.snapshot() - before
    mine.close()
    return {"status": status, "reading": fields(reading)}


@check
def many_sessions():
    """Sessions with mapped pages leave none behind."""
    maps = Path("/proc/self/maps")

    def now():
        return _kernel.open_descriptors(), sum("perf_event" in line for line in maps.open())

    counts = [now()]
    for i in range(300):
        with Counters("instructions:u", "cycles:u", scope="thread"):
            if i == 0:
                counts.append(now())
    counts.append(now())
    Path("/proc/sys/kernel/perf_user_access").write_text("0")
    return {"counts": counts}


@check
def programs():
    """Programs by stat: one does 100 million rounds more than the other."""
    prepared = [_attach.prepare(events.resolve(name), "tree") for name in ("instructions:u", "cycles:u")]
    groups = _arrange.arrange(prepared, "tree")

    def run(n):
        script = f"from perfcounters import known_work; known_work.instructions({n})"
        return stat.count(["/usr/bin/python3", "-S", "-c", script], groups)

    runs = [run(10 * N), run(110 * N)]
    return {
        "statuses": [one.status for one in runs],
        "instructions": [one.reading["instructions:u"].value for one in runs],
        "ipc": runs[1].reading.ipc,
        "expected": 200 * N,
    }


@check
def lacking():
    """A raw event that this PMU does not have opens and counts 0."""
    with Counters("r3ff:u", scope="thread") as counters:
        work()
    return {"reading": fields(counters.reading)}


@check
def never_runs():
    """Seven events forced into one group open without error and never run."""
    real = _arrange.arrange
    _arrange.arrange = lambda prepared, scope: (tuple(prepared),)
    try:
        with Counters(*many(7), scope="thread", multiplex="scale") as counters:
            work()
    finally:
        _arrange.arrange = real
    return {"reading": fields(counters.reading)}


@check
def by_sysfs():
    """The same event by the kernel's own name for it, as a raw number, and by the catalogue's."""
    (pmu,) = pmus.core()
    names = (f"{pmu}/inst_retired/:u", f"{pmu}/event=0x08/:u", "r8:u", "instructions:u")
    with Counters(*names, scope="thread") as counters:
        reading = counters.call(known_work.instructions_address(), N)
    return {"reading": fields(reading)}


@check
def examined():
    """What doctor finds, each by what it looked at."""
    findings, trusted = doctor.examine()
    return {"findings": {one.subject: [one.verdict, one.text] for one in findings}, "trusted": trusted}


@check
def which():
    """Of several events those that this PMU has."""
    names = ("instructions", "cycles", "LLC-misses", "dTLB-load-misses", "page-faults")
    return {"refused": {name: error and str(error) for name, error in countable(names).items()}}


@check
def llc():
    known = trust.llc()
    return {"trusted": known.trusted, "reason": known.reason}


def as_user(function):
    """Run in a child without privileges and give what it returns."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(1000)
        os.setuid(1000)
        try:
            answer = function()
        except errors.CounterError as error:
            answer = {"error": str(error), "kind": type(error).__name__}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    return answer


def count_here(**kwargs):
    with Counters("instructions", scope="thread", **kwargs) as counters:
        work()
    return {"reading": fields(counters.reading)}


@check
def privileges():
    levels = {}
    kept = PARANOID.read_text()
    for level in (1, 2, 3):
        with contextlib.suppress(OSError):
            PARANOID.write_text(str(level))
            levels[str(level)] = as_user(count_here)
            levels[f"{level} cpu"] = as_user(
                lambda: {"n": len(Counters("instructions", scope="cpu").open().events)}
            )
            levels[f"{level} switches"] = as_user(
                lambda: {"n": len(Counters("context-switches").open().events)}
            )
    PARANOID.write_text(kept)
    return levels


def main():
    PARANOID.write_text("1")
    for function in CHECKS:
        try:
            result = function()
        except Exception:  # noqa: BLE001 - judged outside
            result = {"traceback": traceback.format_exc()}
        sys.stdout.write(f"RESULT {json.dumps({'name': function.__name__, **result})}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
