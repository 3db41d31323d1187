"""Whose events are counted: threads that exist, threads to come, children; each once."""

import gc
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from perfcounters import Counters, _kernel, countable, errors, known_work, pmus

PAGES = 1000


class Pool:
    """Threads that exist before anything is counted; `run` gives each of them a job and waits."""

    def __init__(self, n):
        self._jobs = [queue.SimpleQueue() for _ in range(n)]
        self._done = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, args=(jobs,), daemon=True) for jobs in self._jobs
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, jobs):
        while (job := jobs.get()) is not None:
            self._done.put(job())

    def run(self, job):
        for jobs in self._jobs:
            jobs.put(job)
        return [self._done.get() for _ in self._jobs]

    def close(self):
        for jobs in self._jobs:
            jobs.put(None)
        for thread in self._threads:
            thread.join()


@pytest.fixture(autouse=True)
def no_collection():
    """After a fork, a full collection has a page fault for each page of the heap: 10,000 beside PyTorch."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def pool():
    """Four threads, warmed up."""
    made = Pool(4)
    made.run(lambda: known_work.page_faults(1))
    yield made
    made.close()


def faults(counters):
    return counters.reading["page-faults"].value


@pytest.mark.parametrize("scope", ["thread", "process", "tree"])
def test_a_touch_of_a_fresh_page_is_a_page_fault(scope):
    """1,000 touches of fresh small pages are 1,000 faults within 2%: the kernel maps one page a fault."""
    with Counters("page-faults", scope=scope) as counters:
        known_work.page_faults(PAGES)
    assert faults(counters) == pytest.approx(PAGES, rel=0.02)


def test_existing_threads_are_counted_and_none_twice(pool):
    """Four threads that existed before touch 1,000 pages each: 4,000 faults within 2%."""
    with Counters("page-faults") as counters:
        pool.run(lambda: known_work.page_faults(PAGES))
    assert faults(counters) == pytest.approx(4 * PAGES, rel=0.02)
    assert counters.reading["page-faults"].threads == len(_kernel.threads())


def test_one_existing_thread_of_many_pages():
    """16,384 faults by a thread that existed before are counted within 1%."""
    pool = Pool(1)
    with Counters("page-faults") as counters:
        pool.run(lambda: known_work.page_faults(16_384))
    pool.close()
    assert faults(counters) == pytest.approx(16_384, rel=0.01)


def test_thread_scope_leaves_other_threads_out(pool):
    """What the pool does is not the calling thread's."""
    with Counters("page-faults", scope="thread") as counters:
        pool.run(lambda: known_work.page_faults(PAGES))
    assert faults(counters) < 0.02 * PAGES


def test_task_clock_is_the_threads_own_time(pool):
    """
    task-clock of four busy threads is the sum of their time.thread_time, and not twice that.

    The kernel's task-clock also runs while an interrupt or the hypervisor has the processor, which
    thread_time leaves out: there is no narrow upper bound on a busy virtual machine.
    """

    def busy():
        start = time.thread_time()
        while time.thread_time() - start < 0.15:
            pass
        return time.thread_time() - start

    with Counters("task-clock") as counters:
        seconds = sum(pool.run(busy))
    assert 0.98 <= counters.reading["task-clock"].value / (seconds * 1e9) <= 1.5


def test_a_helper_of_an_existing_thread_is_counted_once(pool):
    """A thread that each pool thread starts during the session touches 1,000 pages: counted once."""

    def job():
        helper = threading.Thread(target=known_work.page_faults, args=(PAGES,))
        helper.start()
        helper.join()

    pool.run(job)  # memory of stacks is mapped before
    with Counters("page-faults") as counters:
        pool.run(job)
    # A new thread's stack and arena cost some faults of their own.
    assert 4 * PAGES <= faults(counters) <= 4 * PAGES * 1.05


def test_a_thread_that_ended_keeps_its_counts():
    """Counts of a thread attached to do not go when it ends."""
    pool = Pool(1)
    with Counters("page-faults") as counters:
        pool.run(lambda: known_work.page_faults(PAGES))
        pool.close()
    assert faults(counters) == pytest.approx(PAGES, rel=0.02)


TOUCH = f"from perfcounters import known_work; known_work.page_faults({PAGES * 20})"


@pytest.mark.parametrize("scope", ["process", "tree"])
def test_children_count_in_a_tree_only(scope):
    """A child's 20,000 faults are in scope tree and not in scope process."""
    with Counters("page-faults", scope=scope) as counters:
        subprocess.run([sys.executable, "-c", TOUCH], check=True)
    if scope == "tree":
        assert faults(counters) > 20 * PAGES
    else:
        assert faults(counters) < 10 * PAGES


@pytest.mark.parametrize("warm", [0, 2])
def test_counters_of_one_thread_are_not_entered_in_another(warm):
    """They would count the thread that opened them; so it is told."""
    counters = Counters("page-faults", scope="thread").open()
    for _ in range(warm):
        with counters:
            pass

    def other():
        with pytest.raises(errors.CounterStateError, match="count the thread that opened them"), counters:
            pass
        return counters.snapshot()

    before = counters.snapshot()
    known_work.page_faults(PAGES)
    with ThreadPoolExecutor(1) as executor:
        reading = executor.submit(other).result() - before
    assert reading["page-faults"].value == pytest.approx(PAGES, rel=0.05)
    for _ in range(2):
        with counters:
            known_work.page_faults(PAGES)
        assert faults(counters) == pytest.approx(PAGES, rel=0.02)
    counters.close()


def test_counters_of_a_process_are_entered_in_any_thread(pool):
    counters = Counters("page-faults").open()

    def session():
        with counters:
            known_work.page_faults(PAGES)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(session).result()
    assert faults(counters) == pytest.approx(PAGES, rel=0.05)
    counters.close()


WHOLE_CPUS = countable(["page-faults"], scope="cpu")["page-faults"]


@pytest.mark.skipif(WHOLE_CPUS is not None, reason=str(WHOLE_CPUS))
def test_whole_cpus_count_everybody():
    """A process that existed before is in scope cpu, which reads every CPU, and not in scope tree."""
    script = f"input(); from perfcounters import known_work; known_work.page_faults({PAGES * 20})"
    online = pmus.parse_ranges(_kernel.text("/sys/devices/system/cpu/online"))
    with (
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True) as other,
        Counters("page-faults", scope="cpu") as counters,
        Counters("page-faults", scope="tree") as tree,
    ):
        assert len(counters.snapshot()._session.slots) == len(online)
        other.communicate("go")
    assert faults(counters) >= PAGES * 20
    assert faults(tree) < PAGES
    assert (counters.reading["page-faults"].scope, counters.reading["page-faults"].threads) == ("cpu", 0)


def test_two_threads_with_sessions_of_their_own_do_not_disturb_each_other():
    """Side by side, each thread counts its own faults."""

    def session(pages):
        with Counters("page-faults", scope="thread") as counters:
            known_work.page_faults(pages)
        return faults(counters)

    with ThreadPoolExecutor(2) as executor:
        counted = list(executor.map(session, [2000, 5000] * 8))
    assert counted == [pytest.approx(pages, rel=0.02) for pages in [2000, 5000] * 8]


def test_sessions_nest():
    """The inner session takes nothing from the outer one."""
    with Counters("page-faults") as outer:
        known_work.page_faults(PAGES)
        with Counters("page-faults") as inner:
            known_work.page_faults(PAGES)
    assert faults(inner) == pytest.approx(PAGES, rel=0.02)
    assert faults(outer) == pytest.approx(2 * PAGES, rel=0.1)


def test_a_thread_born_while_attaching_makes_it_attach_again(monkeypatch):
    """The list of threads changes between opening and checking: everything is closed and opened again."""
    real = _kernel.threads
    turns = []

    def threads():
        turns.append(1)
        return real() | {1} if len(turns) == 2 else real()

    monkeypatch.setattr(_kernel, "threads", threads)
    before = _kernel.open_descriptors()
    with Counters("page-faults") as counters:
        assert _kernel.open_descriptors() == before + counters.snapshot()._session.threads
        known_work.page_faults(PAGES)
    assert len(turns) >= 4  # more, if a thread of another test ends meanwhile
    assert faults(counters) == pytest.approx(PAGES, rel=0.02)


def test_threads_that_never_stand_still_are_refused(monkeypatch):
    """Attaching gives up with a sentence, and leaves no descriptor."""
    real, turn = _kernel.threads(), iter(range(10**6))
    monkeypatch.setattr(_kernel, "threads", lambda: real | {-next(turn) - 2} if next(turn) % 4 else real)
    before = _kernel.open_descriptors()
    with pytest.raises(errors.AttachError, match="began or ended"):
        Counters("page-faults").open()
    assert _kernel.open_descriptors() == before


def test_attaching_beside_threads_that_come_and_go():
    """While threads begin and end all the time, 1,000 faults are still counted once."""
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            helper = threading.Thread(target=stop.wait, args=(0.02,))
            helper.start()
            helper.join()

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        for _ in range(20):
            with Counters("page-faults") as counters:
                known_work.page_faults(PAGES)
            assert PAGES <= faults(counters) < 1.2 * PAGES
    finally:
        stop.set()
        churning.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_the_child_counts_for_itself():
    """A forked child can't read its parent's counters by mistake, and can open its own."""
    script = f"""
import os, sys
from perfcounters import Counters, errors, known_work
parent = Counters("page-faults").open()
for _ in range(2):
    with parent:
        pass
child = os.fork()
if child == 0:
    for use in (parent.snapshot, parent.__enter__):
        try:
            use()
        except errors.CounterStateError:
            pass
        else:
            os._exit(1)
    parent.close()
    with Counters("page-faults") as own:
        known_work.page_faults({PAGES})
    os._exit(0 if {PAGES} <= own.reading["page-faults"].value <= {PAGES} * 1.02 else 2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
