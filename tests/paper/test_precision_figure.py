"""Gain and LLC misses by pattern and precision: the records' numbers, and why one is not there."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from formfn_profile import plot
from formfn_profile.errors import ResultsError


def words(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.findobj(Text))


def test_gains_and_misses_by_precision(make):
    """Over PyTorch in f32, whatever the precision; the paler bar of the backend is the narrower one."""
    figure = plot.precision_figure(make.precisions())
    gains, counts = figure.axes
    assert [round(bar.get_width(), 6) for bar in gains.patches] == [1, 2, 4, 10] * 6
    assert [bar.get_width() for bar in counts.patches] == [250_000, 62_500, 25_000] * 6
    inks = [to_hex(bar.get_edgecolor()) for bar in gains.patches[:4]]
    assert inks == [plot.COLOURS[each].lower() for each in ("torch", "torch", "openvino-cpu", "openvino-cpu")]
    assert len({to_hex(bar.get_facecolor()) for bar in gains.patches}) == 4
    named = " ".join(tick.get_text() for tick in gains.get_yticklabels())
    assert named == "standard factorized bottleneck dwseparable dwbottleneck grouped"


def test_what_a_precision_lacks_is_said_with_the_reason(make):
    """PyTorch's bf16 was not counted, and nobody asked it for int8; OpenVINO's bf16 is of another depth."""
    figure = plot.precision_figure(make.precisions())
    said = words(figure)
    assert said.count("not counted") == 6 + 1
    assert "PyTorch bf16: not counted (torch has no bf16 here)." in said
    assert "In int8 on openvino-cpu: 75.0% of the operations, 99.0% of the MACs." in said
    assert "Depth 10, width 64" in said
    assert "PyTorch int8: not measured." in said
    assert "OpenVINO CPU bf16: not measured." in said


def test_one_precision_is_nothing_to_compare(make):
    make.grid(lambda **_: 1.0)
    with pytest.raises(ResultsError, match="--precisions f32,bf16,int8"):
        plot.precision_figure(make.made)
