"""Ceilings: by closed form with a clock that ticks a millisecond a reading, and for real."""

from __future__ import annotations

import itertools

import pytest

from formfn_profile import __main__
from formfn_profile.ceilings import Ceilings
from formfn_profile.errors import MeasurementError
from formfn_profile.measuring import roofline


def ticking():
    ticks = itertools.count()
    return lambda: next(ticks) / 1000


def test_ceilings_in_closed_form():
    """Every call takes a tick of 1 ms: 2 x 64³ FLOPs (the larger of two), and 2²⁰ bytes, a millisecond."""
    found = roofline.measure(
        seconds=0.01, sizes=(32, 64), convolutions=(), buffer_bytes=2**20, clock=ticking()
    )
    assert found.peak_flops == pytest.approx(2 * 64**3 / 1e-3)
    assert found.bandwidth == pytest.approx(2**20 / 1e-3)
    assert found.ridge == pytest.approx(2 * 64**3 / 2**20)
    assert "64 x 64" in found.how
    assert "sum of 1 MiB" in found.how


def test_a_convolution_may_be_the_fastest():
    """9 x 16 x 16 multiply-accumulates for each of 8 x 8 pixels, two FLOPs each, in a tick of 1 ms."""
    found = roofline.measure(
        seconds=0.01, sizes=(8,), convolutions=((16, 8),), buffer_bytes=2**20, clock=ticking()
    )
    assert found.peak_flops == pytest.approx(2 * 9 * 16 * 16 * 8 * 8 / 1e-3)
    assert "the fastest 3x3 convolution of 16 channels, 8 x 8 pixels" in found.how


def test_the_fastest_call_counts_and_the_first_is_not_timed():
    """The clock reads 0 (the end is set), then in pairs: 5, 2 and 4 ticks; three calls at least."""
    readings = iter([0, 10, 15, 20, 22, 30, 34, 40])
    calls = []
    assert roofline._fastest(lambda: calls.append(1), 0, lambda: next(readings)) == 2
    assert len(calls) == 1 + roofline.FEWEST


def test_threads_are_set_and_given_back():
    import torch

    before = torch.get_num_threads()
    roofline.measure(threads=1, seconds=0, sizes=(32,), convolutions=(), buffer_bytes=2**16)
    assert torch.get_num_threads() == before
    with pytest.raises(MeasurementError, match="this process may use"):
        roofline.measure(threads=10_000)


def test_command_measures_saves_and_refuses(capsys, tmp_path):
    out = tmp_path / "ceilings.json"
    assert __main__.main(["roofline", "--seconds", "0.02", "-o", str(out)]) == 0
    found = Ceilings.load(out)
    assert f"Computing: {found.peak_flops / 1e9:.1f} GFLOP/s" in capsys.readouterr().out
    assert found.cpu
    assert __main__.main(["roofline", "--threads", "10000"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
