"""What findings say where something is missing: no kernels, no counts, no batches, nothing that varies."""

from __future__ import annotations

import math

from formfn_profile.findings import CLAIMS, Data
from formfn_profile.findings.depth import _rise
from formfn_profile.findings.verdicts import Figure, all_of
from formfn_profile.networks import NETWORKS


def test_records_without_kernels_tell_nothing_of_layouts(make):
    make.grid(lambda **_: 1.0, depth=(10,))
    assert CLAIMS["layouts-reordered"].test(Data(make.made)).verdict == "not measured"


def test_reorders_of_no_number_of_blocks_tell_nothing(make):
    for backend in ("torch", "openvino-cpu"):
        make.timed(1.0, depth=None, backend=backend, kernels={"Reorder jit_uni_f32": 2})
    assert CLAIMS["layouts-reordered"].test(Data(make.made)).verdict == "not measured"


def test_records_without_counts_say_so(make):
    make.timed(1.0)
    assert Data(make.made).source_words == "LLC misses were not counted"


def test_no_misses_before_and_none_after_are_no_fall(make):
    """0/0 is no number."""
    make.counted({"paper": 0})
    make.counted({"paper": 0}, backend="openvino-cpu")
    data = Data(make.made)
    assert [data.misses_ratio(each) for each in data.points if each.point.backend != "torch"] == [None]


def test_without_batches_no_latency_rises_with_them(make):
    make.timed(1.0)
    assert _rise(Data(make.made), "standard", "torch") is None


def test_gains_that_are_all_the_same_follow_nothing(make):
    """Spearman's rho of a constant is not defined."""
    for name, network in NETWORKS.items():
        point = {"network": name, "pattern": network.pattern, "depth": None, "width": None, "resolution": 224}
        make.timed(4.0, **point)
        make.timed(1.0, backend="openvino-cpu", **point)
    make.grid(lambda backend, network, **_: len(network) if backend == "torch" else 1.0, depth=(10, 50))
    found = CLAIMS["network-follows-pattern"].test(Data(make.made))
    assert (found.verdict, found.remark) == ("inconclusive", "gains don't vary")


def test_a_statement_on_nothing_is_not_measured():
    assert all_of([]) == "not measured"


def test_an_interval_without_end_is_written_so():
    """What grows without bound, and what is no number."""
    assert str(Figure("f", 2.0, math.nan, math.inf)) == "f: 2x (none to infinite)"
