"""The targets of `fuzz/` still run, on their seeds and on a hundred changes of each."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("store", "events", "sysfs", "protocol")


@pytest.fixture(scope="module")
def targets():
    spec = importlib.util.spec_from_file_location("fuzz_targets", ROOT / "fuzz" / "targets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changed(source, seed):
    """Some bytes of a seed lost, doubled, changed or put in."""
    data = bytearray(seed)
    for _ in range(source.randint(0, 4)):
        at = source.randint(0, len(data))
        end = at + source.choice((0, 0, 1, 2, 20))
        data[at:end] = source.choice(
            (b"", b"[" * 2000, b"null", b"-1", b"1e999", b'"', b"\xff", bytes(data[at:end]) * 2, b"\n", b"{}")
        )
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_changes_of_the_seeds_are_handled(name, targets):
    """Each ends as a value or as an error of this project; anything else would be raised here."""
    assert targets.TARGETS.keys() == targets.SEEDS.keys() == set(NAMES)
    source = random.Random(name)
    for number in range(150):
        seed = targets.SEEDS[name][number % len(targets.SEEDS[name])]
        targets.TARGETS[name](seed if number < len(targets.SEEDS[name]) else changed(source, seed))
