"""Many sessions leave nothing behind; pools of real libraries are counted."""

import gc
import json
import resource
import subprocess
import sys

import pytest

from perfcounters import Counters, _kernel, errors, known_work


def maps():
    with open("/proc/self/maps", encoding="ascii") as lines:  # noqa: PTH123 - counted, not kept
        return sum(1 for _ in lines)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["thread", "process"])
def test_5000_sessions_leave_descriptors_and_maps_where_they_were(scope):
    """With both scopes, 10,000 sessions."""
    for _ in range(100):
        with Counters("page-faults", "task-clock", scope=scope):
            pass
    gc.collect()
    before = (_kernel.open_descriptors(), maps())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5000):
        with Counters("page-faults", "task-clock", scope=scope):
            pass
    gc.collect()
    assert _kernel.open_descriptors() == before[0]
    assert maps() <= before[1] + 2  # the allocator's own arenas
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 2048  # KiB


def test_counters_that_nobody_closes_are_closed_when_they_go():
    before = _kernel.open_descriptors()
    Counters("page-faults").open()
    gc.collect()
    assert _kernel.open_descriptors() == before


def test_opened_once_and_read_often():
    """Windows of the same open counters, each its own difference."""
    counters = Counters("page-faults", scope="thread").open()
    counted = []
    for pages in (100, 3000, 500):
        before = counters.snapshot()
        known_work.page_faults(pages)
        counted.append((counters.snapshot() - before)["page-faults"].value)
    counters.close()
    assert counted == [pytest.approx(pages, rel=0.02, abs=3) for pages in (100, 3000, 500)]


def test_read_inside_counts_since_entry():
    with Counters("page-faults", scope="thread") as counters:
        known_work.page_faults(1000)
        half = counters.read()["page-faults"].value
        known_work.page_faults(1000)
    assert half == pytest.approx(1000, rel=0.02)
    assert counters.reading["page-faults"].value == pytest.approx(2000, rel=0.02)


def test_the_same_counters_nest():
    """The reading is that of the with that ended last: first the inner, then the outer."""
    counters = Counters("page-faults", scope="thread")
    with counters:
        known_work.page_faults(1000)
        with counters:
            known_work.page_faults(500)
        assert counters.reading["page-faults"].value == pytest.approx(500, rel=0.02)
    assert counters.reading["page-faults"].value == pytest.approx(1500, rel=0.02, abs=50)


def test_a_reading_stays_until_the_next_with_ends():
    """Buffers are used again, never while what they hold can still be asked for."""
    counters = Counters("page-faults", scope="thread").open()
    for pages in (1000, 2000, 300):
        with counters:
            known_work.page_faults(7)
        with counters:
            known_work.page_faults(pages)
            assert 7 <= counters.reading["page-faults"].value < 20  # of the with before
        with counters:
            pass
        assert counters.reading["page-faults"].value < 10
        with counters:
            known_work.page_faults(pages)
        assert counters.reading["page-faults"].value == pytest.approx(pages, rel=0.02)
    counters.close()
    assert counters.reading["page-faults"].value == pytest.approx(300, rel=0.02)


def test_closing_and_opening_inside_a_with_is_told():
    counters = Counters("page-faults").open()
    with pytest.raises(errors.CounterStateError, match="inside a with"), counters:
        counters.close()
        counters.open()
    counters.close()


def test_a_call_of_a_c_function_holds_nothing_else():
    """No page fault but those of the function: exactly 0 of a loop over registers."""
    with Counters("page-faults", scope="thread") as counters:
        counters.call(known_work.instructions_address(), 1000)
        reading = counters.call(known_work.instructions_address(), 1000)
    assert reading["page-faults"].value == 0


def test_overhead_is_less_than_what_is_counted():
    """task-clock of an empty window: some hundreds of ns to some tens of µs."""
    with Counters("task-clock", scope="thread") as counters:
        overhead = counters.overhead()["task-clock"].value
    assert 0 < overhead < 1_000_000


@pytest.mark.parametrize(
    "use,said",
    [
        (lambda c: c.snapshot(), "not open"),
        (lambda c: c.reading, "before the end of a with"),
        (lambda c: c.open() and c.read(), "inside of one"),
        (lambda c: c.open().snapshot() - Counters("task-clock").open().snapshot(), "different counters"),
    ],
)
def test_wrong_uses_are_told(use, said):
    with pytest.raises(errors.CounterStateError, match=said):
        use(Counters("page-faults"))


@pytest.mark.parametrize(
    "events,options", [((), {}), (("a", "a"), {}), (("a",), {"scope": "x"}), (("a",), {"multiplex": "x"})]
)
def test_wrong_arguments_are_told(events, options):
    with pytest.raises(ValueError, match=r"Counters needs|scope is|multiplex is"):
        Counters(*events, **options)


# A tensor of 64 MiB is freshly mapped each time: glibc gives such sizes back to the kernel at once.
TORCH = """
import json, torch
from perfcounters import Counters
torch.set_num_threads(2)
def touch():
    torch.empty(16 << 20, dtype=torch.float32).fill_(1.0)
touch()
result = {}
for scope in ("process", "thread"):
    with Counters("page-faults", scope=scope) as counters:
        touch()
    result[scope] = counters.reading["page-faults"].value
print(json.dumps(result))
"""

# A new request maps its output of 64 MiB at its first call, and the pool's threads fill it.
OPENVINO = """
import json, resource
import numpy as np
import openvino as ov
from openvino import opset13 as op
from perfcounters import Counters
a, b = op.parameter([4096, 1], np.float32), op.parameter([1, 4096], np.float32)
model = ov.Model([op.add(a, b)], [a, b])
compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 2})
inputs = [np.ones((4096, 1), np.float32), np.ones((1, 4096), np.float32)]
compiled.create_infer_request().infer(inputs)
result = {}
for scope in ("process", "thread"):
    request = compiled.create_infer_request()
    with Counters("page-faults", scope=scope) as counters:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        request.infer(inputs)
        result[scope + "_known"] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    result[scope] = counters.reading["page-faults"].value
print(json.dumps(result))
"""


def run(script):
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(
    "[always]" in (_kernel.text("/sys/kernel/mm/transparent_hugepage/enabled") or ""),
    reason="this kernel maps huge pages unasked: their number is not known",
)
def test_pytorchs_own_pool_is_counted():
    """64 MiB filled by two OpenMP threads that existed: 16,384 pages of 4 KiB, half by the caller."""
    pytest.importorskip("torch")
    pages = (64 << 20) // resource.getpagesize()
    counted = run(TORCH)
    assert counted["process"] == pytest.approx(pages, rel=0.01)
    assert counted["thread"] == pytest.approx(pages / 2, rel=0.1)


@pytest.mark.skipif(
    "[always]" in (_kernel.text("/sys/kernel/mm/transparent_hugepage/enabled") or ""),
    reason="this kernel maps huge pages unasked: their number is not known",
)
def test_openvinos_own_pool_is_counted():
    """A fresh output of 64 MiB: 16,384 pages of 4 KiB, and no fault more or less than getrusage(2) has."""
    pytest.importorskip("openvino")
    counted = run(OPENVINO)
    assert counted["process"] == pytest.approx(counted["process_known"], rel=0.01)
    assert counted["process"] >= (64 << 20) // resource.getpagesize()
    # How much of it the pool takes is the scheduler's choice: on a busy machine next to nothing.
    assert counted["thread"] <= counted["thread_known"] * 1.01
