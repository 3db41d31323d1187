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
ROUNDS, CALLS = 101, 500


def ns_a_call(function: Callable[[], object], calls: int) -> float:
    """Time a loop of calls; the loop's own few ns are in it."""
    start = time.perf_counter_ns()
    for _ in range(calls):
        function()
    return (time.perf_counter_ns() - start) / calls


def bare_reads(counters: Counters) -> Callable[[int], float]:
    """Time pairs of group reads in C, without Python between: the function called does nothing."""
    session = counters.snapshot()._session  # noqa: SLF001 - its descriptors are what is compared
    words = [session.reader.new_buffer() for _ in range(2)]
    nothing = ffi.cast("uint64_t (*)(uint64_t)", ffi.addressof(lib, "work_instructions"))
    one = (session.reader.target, *words, nothing, 1)

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


def measured_with(counters: Counters) -> Callable[[int], float]:
    """Time windows that hold nothing."""

    def timed(calls: int) -> float:
        start = time.perf_counter_ns()
        for _ in range(calls):
            with counters:
                pass
        return (time.perf_counter_ns() - start) / calls

    return timed


def opened_and_closed() -> None:
    """Count nothing, once."""
    with Counters(*EVENTS, scope="thread"):
        pass


def main() -> None:
    """Print the table."""
    counters = Counters(*EVENTS, scope="thread").open()
    rows: dict[str, Callable[[int], float]] = {
        "two bare group reads in C": bare_reads(counters),
        "with, opened before": measured_with(counters),
        "with, opened by itself": lambda _: ns_a_call(
            lambda: Counters(*EVENTS, scope="thread").measure(int), 5
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, timed in rows.items():
            times[name].append(timed(CALLS))
    print(f"4 software events, one thread; median of {ROUNDS} rounds, interleaved")
    bare = times["two bare group reads in C"]
    for name, values in times.items():
        # Of ratios within a round, the median does not mind what else the machine does.
        ratio = statistics.median(mine / its for mine, its in zip(values, bare, strict=True))
        print(f"  {name:<28}{statistics.median(values):>12,.0f} ns{ratio:>9.2f}")
    counters.close()
    many_threads()


def many_threads() -> None:
    """Print what opening on 64 threads takes."""
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
