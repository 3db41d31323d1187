"""Records put side by side, and what they are as JSON."""

from __future__ import annotations

import json
import math

from formfn_profile.results import Count, Record, pair
from formfn_profile.table import tables


def test_a_point_timed_by_several_processes_has_a_sample_a_process(make):
    """Each process's median: of 1, 2, 9 and of 3, 4, 5."""
    (row,) = pair([make(process=0, latency_s=(1.0, 2.0, 9.0)), make(process=1, latency_s=(3.0, 4.0, 5.0))])
    assert row.latency() == (2.0, 4.0)


def test_a_point_that_only_failed_has_no_sample(make):
    (row,) = pair([make(status="failed", reason="why")])
    assert row.latency() == ()
    assert row.point.reason == "why"


def test_the_work_in_a_point_is_of_the_record_that_has_it(make):
    """What timed it could not count FLOPs; what counted its misses could."""
    counts = (Count(event="instructions", samples=(10,), source="simulated"),)
    (row,) = pair([make(latency_s=(1.0,)), make(launcher="llcsim", counts=counts, flops=6)])
    assert (row.timed.flops, row.point.flops) == (None, 6)


def test_int8_is_as_many_times_as_fast_as_pytorch_in_f32(make):
    """Six seconds over two; bf16 is held against PyTorch's bf16, five seconds over four."""
    timed = [
        ("torch", "f32", 6),
        ("torch", "bf16", 5),
        ("openvino-cpu", "bf16", 4),
        ("openvino-cpu", "int8", 2),
    ]
    found = tables([make(backend=name, precision=precision, latency_s=(t,)) for name, precision, t in timed])
    assert [row[5] for table in found for row in table.rows] == ["1.00x", "1.00x", "1.25x", "3.00x"]


def test_the_share_that_ran_as_asked_is_of_what_was_told(make):
    """Three of four operations; 90 of 120 MACs, of which 20 are of an operation that does not tell them."""
    told = make(
        precision="int8",
        operations={"int8": 3, "f32": 1},
        operation_macs={"int8": 90, "f32": 10},
        macs=120,
    )
    assert (told.operations_as_asked, told.macs_as_asked) == (0.75, 0.75)
    assert Record.from_dict(told.to_dict()) == told
    silent = make(macs=120)
    assert (silent.operations_as_asked, silent.macs_as_asked) == (None, None)


def test_what_is_not_finite_is_absent_from_json(make):
    """JSON has no NaN, and a reader in another language would refuse the line."""
    record = make(output_error=math.nan, conditions={"load": math.inf}, latency_s=(1.0, math.inf))
    flat = json.loads(json.dumps(record.to_dict(), allow_nan=False))
    assert (flat["output_error"], flat["latency_s"]) == (None, [1.0, None])
