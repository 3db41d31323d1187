"""Counting in the worker: known events counted, refused ones absent with the reason."""

from __future__ import annotations

import inspect
import mmap
import pickle
import subprocess
import sys

import pytest

from formfn_profile.measuring import counting
from formfn_profile.measuring.launcher import Launcher
from formfn_profile.table import CacheFigures
from perfcounters import caches
from perfcounters.errors import PerfCountersError

PAGES = 100


def touch_fresh_pages():
    """As many page faults as pages: each is new to the process, and none is a huge one."""
    with mmap.mmap(-1, PAGES * mmap.PAGESIZE) as fresh:
        fresh.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(PAGES):
            fresh[page * mmap.PAGESIZE] = 1


# In a process of its own: other threads, and pages that the kernel had reclaimed, would add to the faults.
COUNT = f"""
import mmap, pickle, sys
from formfn_profile.measuring import counting
PAGES = {PAGES}
{inspect.getsource(touch_fresh_pages)}
counts = counting.hardware(touch_fresh_pages, 3, ("page-faults", "LLC-mises"))
pickle.dump(counts, sys.stdout.buffer)
"""


def test_an_event_that_is_refused_leaves_the_others_counted():
    """Some processors have no event that means LLC references: their misses are counted all the same."""
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, check=True)
    faults, refused = pickle.loads(done.stdout)
    assert all(PAGES <= sample <= PAGES + 5 for sample in faults.samples)
    assert refused.samples == (None, None, None)
    assert refused.value is None
    assert "LLC-misses" in refused.reason


def test_with_all_refused_it_says_why():
    with pytest.raises(PerfCountersError, match="LLC-misses"):
        counting.hardware(touch_fresh_pages, 1, ("LLC-mises",))


def test_the_whole_machine_is_a_scope_of_its_own():
    """Everybody's page faults, ours among them; refused to who may not, with the kernel's setting named."""
    try:
        (faults,) = counting.hardware(touch_fresh_pages, 2, ("page-faults",), "cpu")
    except PerfCountersError as error:
        assert "perf_event_paranoid" in str(error)  # noqa: PT017 - either is right, by who runs this
    else:
        assert faults.scope == "cpu"
        assert all(sample >= PAGES for sample in faults.samples)


def test_the_packages_traffic_is_counted_or_says_why_not():
    """DRAM traffic is an uncore PMU's: absent with the reason on most machines, and never a plain zero."""
    for count in counting.package(touch_fresh_pages, 2):
        assert count.event in counting.PACKAGE_EVENTS
        assert (count.value is None) == bool(count.reason)


def test_lines_that_a_prefetcher_read_are_bytes_from_memory():
    """50 misses and 50 prefetches of 64 bytes for 6,400 FLOPs; 50 of 200 references miss all the same."""
    figures = CacheFigures("paper:next-line", 50, 200, 1000, 0, 6400, 9000, prefetched=50)
    assert (figures.bytes_from, figures.miss_rate, figures.fits) == (1.0, 0.25, False)


def test_simulations_of_several_threads_say_how_caches_are_coherent():
    """Counts of one thread are those of versions that did not say so; of several they are not."""
    launcher = Launcher(caches.resolve("paper"))
    assert "coherence" not in launcher.simulation(1)
    assert launcher.simulation(2) == {**launcher.simulation(1), "coherence": "write-invalidate"}
    assert Launcher().simulation(2) == {}
