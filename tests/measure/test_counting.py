"""Counting in the worker: known events counted, refused ones absent with the reason."""

from __future__ import annotations

import mmap

import pytest

from formfn_profile.measure import counting
from perfcounters.errors import PerfCountersError

PAGES = 100


def touch_fresh_pages():
    """As many page faults as pages: each is new to the process, and none is a huge one."""
    with mmap.mmap(-1, PAGES * mmap.PAGESIZE) as fresh:
        fresh.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(PAGES):
            fresh[page * mmap.PAGESIZE] = 1


def test_an_event_that_is_refused_leaves_the_others_counted():
    """Some processors have no event that means LLC references: their misses are counted all the same."""
    faults, refused = counting.hardware(touch_fresh_pages, 3, ("page-faults", "LLC-mises"))
    assert all(PAGES <= sample <= PAGES + 5 for sample in faults.samples)
    assert refused.samples == (None, None, None)
    assert refused.value is None
    assert "LLC-misses" in refused.reason


def test_with_all_refused_it_says_why():
    with pytest.raises(PerfCountersError, match="LLC-misses"):
        counting.hardware(touch_fresh_pages, 1, ("LLC-mises",))
