"""
What counting costs: a `with` of 4 software events beside two bare group reads in C, and opening.

Everything compared is interleaved, round by round; printed are medians over the rounds::

    python benchmarks/perfcounters_cost.py
"""

import statistics
import threading
import time
from collections.abc import Callable

from perfcounters import Counters
from perfcounters._perf import ffi, lib

EVENTS = ("page-faults", "task-clock", "context-switches", "cpu-migrations")
ROUNDS, CALLS = 15, 5000


def ns_a_call(function: Callable[[], object], calls: int) -> float:
    """Time a loop of calls; the loop's own few ns are in it."""
    start = time.perf_counter_ns()
    for _ in range(calls):
        function()
    return (time.perf_counter_ns() - start) / calls


def bare_reads(counters: Counters) -> Callable[[int], float]:
    """Time pairs of group reads in C, without Python between: the function called does nothing."""
    session = counters.snapshot()._session  # noqa: SLF001 - its descriptors are what is compared
    reader = session.reader
    words = [ffi.new("uint64_t[]", reader.offsets[-1]) for _ in range(2)]
    leaders = ffi.new("int[]", [slot.leader for slot in session.slots])
    offsets = ffi.new("size_t[]", list(reader.offsets))
    nothing = ffi.cast("uint64_t (*)(uint64_t)", ffi.addressof(lib, "work_instructions"))
    one = (leaders, offsets, len(session.slots), *words, nothing, 1)

    def timed(calls: int) -> float:
        start = time.perf_counter_ns()
        for _ in range(calls):
            lib.pe_count_call(*one)
        with_call = (time.perf_counter_ns() - start) / calls
        start = time.perf_counter_ns()
        for _ in range(calls):
            lib.llcsim_request(0, 0, 0, 0)  # as long a way into C, no system call
        return with_call - (time.perf_counter_ns() - start) / calls

    return timed


def measured_with(counters: Counters) -> None:
    """Count nothing."""
    with counters:
        pass


def main() -> None:
    """Print the table."""
    counters = Counters(*EVENTS, scope="thread").open()
    bare = bare_reads(counters)
    rows: dict[str, list[float]] = {
        "two bare group reads in C": [],
        "with, opened before": [],
        "open and close": [],
    }
    for _ in range(ROUNDS):
        rows["two bare group reads in C"].append(bare(CALLS))
        rows["with, opened before"].append(ns_a_call(lambda: measured_with(counters), CALLS))
        rows["open and close"].append(
            ns_a_call(lambda: Counters(*EVENTS, scope="thread").open().close(), CALLS // 100)
        )
    print(f"4 software events, one thread; median of {ROUNDS} rounds, interleaved")
    for name, values in rows.items():
        print(f"  {name:<28}{statistics.median(values):>12,.0f} ns")
    ratio = statistics.median(rows["with, opened before"]) / statistics.median(
        rows["two bare group reads in C"]
    )
    print(f"  with / bare reads           {ratio:>12.2f}")

    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(63)]
    for thread in threads:
        thread.start()
    opened = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        process = Counters(*EVENTS).open()
        opened.append((time.perf_counter_ns() - start) / 1e6)
        process.close()
    stop.set()
    for thread in threads:
        thread.join()
    print(f"  open on 64 threads          {statistics.median(opened):>12.2f} ms, first {opened[0]:.2f} ms")


if __name__ == "__main__":
    main()
