"""Hardware breakpoints count writes to a word exactly, on any machine: whose, how often, in which group."""

import ctypes
import os
import platform
import queue
import threading

import pytest

from perfcounters import Counters, countable, errors

WRITES = 1000
HERE = countable([f"mem:{ctypes.addressof(ctypes.c_uint64()):#x}/8:w"])
REFUSED = next(iter(HERE.values()))
pytestmark = pytest.mark.skipif(REFUSED is not None, reason=str(REFUSED))


class Word:
    """A word of memory, and the event of its being written."""

    def __init__(self):
        self._word = ctypes.c_uint64(0)
        self.event = f"mem:{ctypes.addressof(self._word):#x}/8:w"

    def write(self, times=WRITES):
        for i in range(times):
            self._word.value = i


@pytest.fixture
def word():
    return Word()


@pytest.fixture
def pool():
    """Four threads that exist before anything is counted, and a function that gives each of them a job."""
    jobs = [queue.SimpleQueue() for _ in range(4)]
    done = queue.SimpleQueue()

    def work(mine):
        while (job := mine.get()) is not None:
            done.put(job())

    threads = [threading.Thread(target=work, args=(mine,)) for mine in jobs]
    for thread in threads:
        thread.start()

    def each(job):
        for mine in jobs:
            mine.put(job)
        for _ in jobs:
            done.get()

    each(int)
    yield each
    for mine in jobs:
        mine.put(None)
    for thread in threads:
        thread.join()


def values(counters):
    return [count.value for count in counters.reading]


@pytest.mark.parametrize("scope", ["thread", "process", "tree"])
def test_the_calling_threads_own(word, scope):
    with Counters(word.event, scope=scope) as counters:
        word.write()
    assert values(counters) == [WRITES]


def test_threads_that_exist(word, pool):
    """4 x 1,000 in process scope, and none of them the calling thread's."""
    with Counters(word.event) as process, Counters(word.event, scope="thread") as thread:
        pool(word.write)
    assert values(process) == [4 * WRITES]
    assert values(thread) == [0]


def test_threads_to_come_of_threads_that_exist(word, pool):
    """Each pool thread starts a thread in the session: 4 x 1,000, each counted once."""

    def job():
        thread = threading.Thread(target=word.write)
        thread.start()
        thread.join()

    with Counters(word.event) as counters:
        pool(job)
    assert values(counters) == [4 * WRITES]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads do no harm
@pytest.mark.parametrize("scope,counted", [("thread", 0), ("process", 0), ("tree", WRITES)])
def test_children_by_fork(word, scope, counted):
    """The child writes to its own copy at the same address."""
    with Counters(word.event, scope=scope) as counters:
        child = os.fork()
        if child == 0:
            word.write()
            os._exit(0)
        os.waitpid(child, 0)
    assert values(counters) == [counted]


def test_events_of_a_group_are_told_apart():
    """Three words written 1, 20 and 300 times."""
    words = [Word() for _ in range(3)]
    with Counters(*(one.event for one in words), "page-faults") as counters:
        for one, times in zip(words, (1, 20, 300), strict=True):
            one.write(times)
    assert values(counters)[:3] == [1, 20, 300]
    assert len({count.group for count in counters.reading}) == 1


def test_sessions_side_by_side(word):
    """Two threads count the same word each for itself."""
    counted = {}

    def session(times):
        with Counters(word.event, scope="thread") as counters:
            word.write(times)
        counted[times] = values(counters)

    threads = [threading.Thread(target=session, args=(times,)) for times in (700, 1300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == {700: [700], 1300: [1300]}


def test_windows_of_open_counters(word):
    """Differences of reads: nothing is reset, nothing counts twice."""
    counters = Counters(word.event, scope="thread").open()
    counted = []
    for times in (5, 0, 1000, 3):
        with counters:
            word.write(times)
        counted += values(counters)
        word.write(17)  # between windows
    counters.close()
    assert counted == [5, 0, 1000, 3]


def test_a_call_that_fails_is_counted_to_its_end(word):
    def fails():
        word.write()
        raise LookupError

    counters = Counters(word.event)
    with pytest.raises(LookupError), counters:
        fails()
    assert values(counters) == [WRITES]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="others have other numbers of registers")
def test_more_words_than_debug_registers():
    """x86 has four (Intel SDM volume 3, Debug Registers DR0 to DR3)."""
    words = [Word() for _ in range(5)]
    with Counters(*(one.event for one in words[:4])) as counters:
        for one in words:
            one.write(3)
    assert values(counters) == [3] * 4
    with pytest.raises(errors.TooManyEventsError, match="breakpoint registers are all in use"):
        Counters(*(one.event for one in words)).open()
