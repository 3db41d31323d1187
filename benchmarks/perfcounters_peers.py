"""
perfcounters beside other ways to count from Python: what they count, what they say, what they cost.

Compared is what is installed here of python-papi, Cirron and py-perf-event; beside them `perf stat -p`::

    pip install python-papi cirron py-perf-event    # in an environment of their own
    python benchmarks/perfcounters_peers.py

Costs are interleaved, round by round; printed are medians.
"""

import importlib.util
import os
import queue
import shutil
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable

import perfcounters
from perfcounters import known_work

PAGES = 16_384
ROUNDS, CALLS = 31, 200
EVENTS = ("page-faults", "task-clock", "context-switches", "cpu-migrations")
PAPI_EVENTS = ("perf::PAGE-FAULTS", "perf::TASK-CLOCK", "perf::CONTEXT-SWITCHES", "perf::CPU-MIGRATIONS")


class PoolThread:
    """A thread that exists before anything is counted."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()
        self.touch(1)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._done.put(None)

    def touch(self, pages: int = PAGES) -> None:
        """Let the thread touch fresh pages, and wait."""
        self._jobs.put(lambda: known_work.page_faults(pages))
        self._done.get()


class Ours:
    """This package."""

    name = f"perfcounters {perfcounters.__version__}"

    def __init__(self) -> None:
        self._process = perfcounters.Counters("page-faults")
        self._thread = perfcounters.Counters(*EVENTS, scope="thread").open()

    def faults(self, call: Callable[[], None]) -> int | None:
        """Count page faults of a call."""
        return self._process.measure(call)["page-faults"].value

    def cost(self) -> None:
        """Count four software events around nothing."""
        with self._thread:
            pass

    def cycles(self) -> object:
        """Ask for a hardware event."""
        return perfcounters.Counters("cycles").open()


class Papi:
    """PAPI by python-papi."""

    name = "python-papi"

    def __init__(self) -> None:
        from pypapi import papi_low

        self._papi = papi_low
        papi_low.library_init()
        self._set = papi_low.create_eventset()
        self._added = False

    def _add(self) -> None:
        if not self._added:
            for event in PAPI_EVENTS:
                self._papi.add_named_event(self._set, event)
            self._added = True

    def faults(self, call: Callable[[], None]) -> int:
        """Count page faults of a call."""
        self._add()
        self._papi.start(self._set)
        call()
        return int(self._papi.stop(self._set)[0])

    def cost(self) -> None:
        """Count four software events around nothing."""
        self._add()
        self._papi.start(self._set)
        self._papi.stop(self._set)

    def cycles(self) -> object:
        """Ask for a hardware event."""
        return self._papi.add_named_event(self._papi.create_eventset(), "PAPI_TOT_CYC")


class Cirron:
    """Cirron: instructions, branch misses, page faults and the time."""

    name = "Cirron"

    def __init__(self) -> None:
        import cirron

        self._collector = cirron.Collector

    def faults(self, call: Callable[[], None]) -> int:
        """Count page faults of a call."""
        with self._collector(measure_overhead=False) as collector:
            call()
        return int(collector.counters.page_faults)

    def cost(self) -> None:
        """Count what it counts around nothing."""
        with self._collector(measure_overhead=False):
            pass

    def cycles(self) -> object:
        """Ask for a hardware event."""
        with self._collector(measure_overhead=False) as collector:
            known_work.instructions(1000)
        return collector.counters


class PyPerfEvent:
    """py-perf-event: hardware events alone."""

    name = "py-perf-event"

    def __init__(self) -> None:
        import py_perf_event

        self._module = py_perf_event

    def faults(self, call: Callable[[], None]) -> int:
        """Count page faults of a call."""
        raise NotImplementedError("no software events")

    def cost(self) -> None:
        """Count one hardware event around nothing."""
        self._module.measure([self._module.Hardware.INSTRUCTIONS], int)

    def cycles(self) -> object:
        """Ask for a hardware event."""
        return self._module.measure([self._module.Hardware.CPU_CYCLES], int)


PEERS = {"pypapi": Papi, "cirron": Cirron, "py_perf_event": PyPerfEvent}


def answer(function: Callable[[], object]) -> str:
    """Give what a call gives, or the error's kind and sentence on one line."""
    try:
        return " ".join(str(function()).split())
    except BaseException as error:  # noqa: BLE001 - a peer's panic is an answer too
        return f"{type(error).__name__}: {' '.join(str(error).split())}"


def perf_stat(call: Callable[[], None]) -> str:
    """Count page faults of this process by `perf stat -p` meanwhile."""
    argv = ["perf", "stat", "-x,", "-e", "page-faults", "-p", str(os.getpid())]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as perf:
        time.sleep(1)
        call()
        perf.send_signal(signal.SIGINT)
        _, found = perf.communicate()
    return found.split(",")[0]


def main() -> None:
    """Print what each counts and says, then what it costs."""
    pool = PoolThread()
    tools = [Ours()]
    for module, peer in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{peer.name} is not installed here")
            continue
        tools.append(peer())
    print(f"\n{PAGES:,} page faults of a thread that existed before, counted by")
    for tool in tools:
        print(f"  {tool.name:<20} {answer(lambda tool=tool: tool.faults(pool.touch))}")
    if shutil.which("perf"):
        print(f"  {'perf stat -p':<20} {perf_stat(pool.touch)}")
    print("\nAsked for cycles, each says")
    for tool in tools:
        print(f"  {tool.name:<20} {answer(tool.cycles)}")

    works = [
        tool for tool in tools if "Error" not in answer(tool.cost) and "Exception" not in answer(tool.cost)
    ]
    times: dict[str, list[float]] = {tool.name: [] for tool in works}
    for _ in range(ROUNDS):
        for tool in works:
            start = time.perf_counter_ns()
            for _ in range(CALLS):
                tool.cost()
            times[tool.name].append((time.perf_counter_ns() - start) / CALLS)
    print("\nAn empty window of those that count here, ns (four events; py-perf-event: one)")
    for name, values in times.items():
        print(f"  {name:<20} {statistics.median(values):>9,.0f}")


if __name__ == "__main__":
    main()
