"""LLC misses by ranges of addresses: each miss has the label of the range that its line is in."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcounters import caches, simulator

KIB = 1024
PROGRAM = """
import ctypes, json, mmap, sys
from perfcounters import simulator
KIB = 1024
sizes = (2048 * KIB, 1024 * KIB, 512 * KIB)
arrays = [mmap.mmap(-1, size) for size in sizes]
addresses = [ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in arrays]
halves = [(addresses[0], sizes[0] // 2), (addresses[0] + sizes[0] // 2, sizes[0] // 2)]
simulator.label_addresses([halves, [(addresses[1], sizes[1])]])
scratch = ctypes.create_string_buffer(64 * KIB)
def walk():
    for address, size in zip(addresses, sizes):
        for at in range(0, size, 64 * KIB):
            ctypes.memmove(scratch, address + at, 64 * KIB)
with simulator.recording():
    walk()
    simulator.zero()
    walk()
    counts = simulator.read()
print(json.dumps(counts.to_dict()))
"""


@pytest.mark.simulator
@pytest.mark.parametrize("inclusion", ["non-inclusive", "inclusive", "exclusive"])
def test_misses_of_known_arrays(inclusion):
    """
    Arrays of 2, 1 and 0.5 MiB walked in turn through a 256 KiB LLC: each of their 64-byte lines misses once
    a walk, under the label of its array; the third has none.
    """
    one = caches.resolve("256K/16", l2=None)[0]
    processor = caches.Processor("small", one.l1d, None, one.llc, "made up", inclusion=inclusion)
    command, environment = simulator.command([sys.executable, "-c", PROGRAM], [processor])
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (cache,) = json.loads(done.stdout)["caches"]
    first, second, third = (size * KIB // 64 for size in (2048, 1024, 512))
    assert cache["labelled"][0] == pytest.approx(first, rel=0.005)
    assert cache["labelled"][1] == pytest.approx(second, rel=0.005)
    assert cache["llc_misses"] - sum(cache["labelled"]) >= 0.99 * third


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=8), min_size=1, max_size=2)
)
def test_joined_ranges_say_the_same_of_every_address(labels):
    """By brute force: an address has the lowest label that claims it, in ranges sorted and apart."""
    joined = simulator._joined(labels)
    for address in range(80):
        claimed = [
            number
            for number, ranges in enumerate(labels, start=1)
            if any(first <= address < first + size for first, size in ranges)
        ]
        told = [label for first, end, label in joined if first <= address < end]
        assert told == claimed[:1]
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(joined))
