"""What pictures show: the records' numbers, every backend in its colour, nothing over anything else."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from formfn_profile import backends, plot
from formfn_profile.ceilings import Ceilings
from formfn_profile.errors import ResultsError
from formfn_profile.networks import NETWORKS
from formfn_profile.plot import bars, style
from formfn_profile.results import Count

NAMES = ("standard", "factorized", "bottleneck", "dwseparable", "dwbottleneck", "grouped")
BACKENDS = ("torch", "openvino-cpu", "openvino-gpu")
TIMES = {"torch": 4.0, "openvino-cpu": 1.0, "openvino-gpu": 0.5}
CEILINGS = Ceilings(peak_flops=1e11, bandwidth=1e10, threads=1, how="made up")


SLOWER = dict(zip(NAMES, (1.0, 1.5, 2.2, 3.3, 5.0, 7.5), strict=True))


def seconds(backend, depth=10, width=64, batch=1, network="standard"):
    return SLOWER[network] * TIMES[backend] * depth * width**2 * batch * 1e-7


def misses(backend, depth=10, width=64, **_):
    return int(depth * width * {"torch": 900, "openvino-cpu": 100, "openvino-gpu": 300}[backend])


def study(make, backends=BACKENDS, batches=(1, 8, 32)):
    make.grid(seconds, misses, depth=(10, 30, 50), batch=batches, backends=backends)
    make.grid(seconds, misses, depth=(10,), width=(32, 128, 512), backends=backends)
    return make.made


def networks(make):
    for name, network in NETWORKS.items():
        point = {"network": name, "pattern": network.pattern, "depth": None, "width": None, "resolution": 224}
        if name == "darts-optimized":
            make.timed(0.25, backend="torch-onednn", **point)
            continue
        make.timed(0.05, backend="openvino-cpu", **point)
        make.timed(0.6 if name == "darts" else 0.15, **point)
    return make.made


def curve(make, sizes=(1, 4, 16), depth=10):
    inner = {
        "l1d_bytes": 2**15,
        "l1d_ways": 8,
        "l2_bytes": 2**18,
        "l2_ways": 4,
        "llc_ways": 16,
        "source": "made up",
    }
    for backend in ("torch", "openvino-cpu"):
        made = tuple(
            Count(
                event="LLC-misses",
                samples=(0 if (size, backend) == (16, "openvino-cpu") else 16_000 // size,),
                source="simulated",
                cache=f"{size}M",
            )
            for size in sizes
        )
        caches = tuple(inner | {"name": f"{size}M", "llc_bytes": size * 2**20} for size in sizes)
        make.add(launcher="llcsim", backend=backend, depth=depth, counts=made, caches=caches)
    return make.made


def by_layer(make):
    """A convolution of 3 ms with 500 misses and a ReLU of 1 ms with 20."""
    names = (("conv", "convolution jit:avx2", 3e-3, 500), ("act", "relu", 1e-3, 20))
    timed = [{"name": n, "kind": kind, "modules": [n], "macs": 9, "seconds": s} for n, kind, s, _ in names]
    counted = [
        {"name": n, "kind": kind, "modules": [n], "macs": 9, "counts": {"LLC-misses": misses}}
        for n, kind, _, misses in names
    ]
    for backend in ("torch", "openvino-cpu"):
        make.timed(4e-3, layers=tuple(timed), backend=backend)
        make.counted({"paper": 520}, layers=tuple(counted), backend=backend)
    return make.made


DRAWN = {
    "figure1": study,
    "figure2": study,
    "figure3": study,
    "figure4": study,
    "figure5": networks,
    "precision": lambda make: make.precisions(),
    "roofline": study,
    "misses": curve,
    "layers": by_layer,
}


def draw(name, records):
    return plot.FIGURES[name].draw(records, CEILINGS)


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title() == title)


def twin(figure, title):
    """The axes on the right of a panel: made by twinx, in the same place."""
    left = panel(figure, title)
    return next(each for each in figure.axes if each is not left and each.bbox.bounds == left.bbox.bounds)


def lines(axes, backend):
    ink = plot.COLOURS[backend].lower()
    return [line for line in axes.lines if to_hex(line.get_color()) == ink and len(line.get_xdata())]


def words(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.findobj(Text))


def test_every_picture_has_its_records():
    assert set(DRAWN) == set(plot.FIGURES)


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_no_text_lies_over_another_or_outside(make, name):
    check_texts(draw(name, DRAWN[name](make)))


@pytest.mark.parametrize("name", ["figure1", "figure3"])
def test_texts_at_the_ends_of_lines_that_meet_are_moved_apart(make, name):
    """The GPU is as fast as the CPU and misses as often; at the upper edge, PyTorch is hardly slower."""
    same = {"torch": 1.001, "openvino-cpu": 1.0, "openvino-gpu": 1.0}
    make.grid(
        lambda backend, depth, **_: same[backend] * depth,
        lambda backend, depth, **_: int(1000 * same[backend] * depth),
        depth=(10, 30, 50),
        batch=(1,),
        backends=BACKENDS,
    )
    check_texts(draw(name, make.made))


def check_texts(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        if axes.get_visible():
            shown += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *_tick_labels(axes)]
    shown = [text for text in shown if text.get_visible() and text.get_text().strip()]
    assert len(shown) > 10
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y1 <= figure.bbox.height + 1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or down < 1, f"{one!r} over {other!r}"


def _tick_labels(axes):
    """Those within the limits: Matplotlib keeps others and does not draw them."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        if axis.get_visible():
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high:
                    yield from (tick.label1, tick.label2)


def test_latency_is_that_of_the_records(make):
    """30 blocks of width 64, batch 8, PyTorch: 4 x 30 x 64² x 1e-7 s an image, in ms."""
    figure = draw("figure1", study(make))
    batches = lines(panel(figure, "standard"), "torch")
    assert [list(line.get_xdata()) for line in batches] == [[10, 30, 50]] * 3
    assert batches[1].get_ydata()[1] == pytest.approx(4 * 30 * 64**2 * 1e-7 * 1e3)
    flops = twin(figure, "standard").lines[0]
    assert flops.get_linestyle() == "--"
    assert flops.get_ydata()[1] == pytest.approx(30 * 64**2 * 1000 / 1e9)
    assert "4.0/4.0/4.0x" in words(figure)
    assert "8.0/8.0/8.0x" in words(figure)


def test_a_gain_at_the_end_is_of_what_was_measured_there(make):
    """Twelve times at depth 10 is not what stands beside depth 50, where batch 8 was not measured."""
    for depth, batch, native in ((10, 1, 2.0), (50, 1, 15.0), (10, 8, 12.0)):
        point = {"network": "standard", "pattern": "standard", "depth": depth, "batch": batch}
        make.timed(native, **point)
        make.timed(1.0 if depth == 10 else 5.0, backend="openvino-cpu", **point)
    make.timed(15.0, network="standard", pattern="standard", depth=50, batch=8)
    said = words(draw("figure1", make.made))
    assert "3.0/-x" in said
    assert not any("12.0" in each for each in said)


def test_compiled_pytorch_accelerates_and_other_forms_of_it_do_not(make):
    """15 / 5 ms is a gain; the form with other libraries is native PyTorch still."""
    for backend, latency in (("torch", 15.0), ("torch-onednn", 1.0), ("torch-compile", 5.0)):
        for depth in (10, 50):
            make.timed(latency, backend=backend, network="standard", pattern="standard", depth=depth)
    said = words(draw("figure1", make.made))
    assert "3.0x" in said
    assert not any("15.0" in each for each in said)


def test_every_backend_has_its_colour_and_its_place_among_the_bars():
    assert set(style.COLOURS) == set(style.TITLES) == set(bars._BACKENDS) == set(backends.BACKENDS)
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


def test_misses_are_dashed_latency_solid_with_the_rate_at_the_end(make):
    """Made with four references a miss: 25%."""
    figure = draw("figure3", study(make))
    (solid,), (dashed,) = lines(panel(figure, "standard"), "torch"), lines(twin(figure, "standard"), "torch")
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert list(dashed.get_ydata()) == [misses("torch", depth) for depth in (10, 30, 50)]
    assert words(figure).count("25%") == 6 * 3


def test_panels_share_their_axes(make):
    figure = draw("figure3", study(make))
    assert len({axes.get_ylim() for axes in figure.axes if axes.get_title()}) == 1
    assert len({twin(figure, axes.get_title()).get_ylim() for axes in figure.axes if axes.get_title()}) == 1


def test_zero_is_a_marker_below(make):
    study(make)
    make.counted({"host": 0, "paper": 0}, network="grouped", backend="openvino-cpu", depth=30)
    right = twin(draw("figure3", make.made), "grouped")
    (mark,) = [line for line in right.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert mark.get_xdata()[0] == pytest.approx(30, rel=0.1)
    low, high = right.get_ylim()
    assert math.log(mark.get_ydata()[0] / low) < 0.05 * math.log(high / low)
    assert to_hex(mark.get_markeredgecolor()) == plot.COLOURS["openvino-cpu"].lower()


def test_a_missing_gpu_is_said_with_the_reason(make):
    study(make, backends=BACKENDS[:2])
    make.failed("no GPU device is there", backend="openvino-gpu")
    for name in ("figure1", "figure3"):
        figure = draw(name, make.made)
        assert words(figure).count("GPU: not measured") == 6 + 1
        assert "OpenVINO GPU: not measured: no GPU device is there." in words(figure)


@pytest.mark.parametrize("name", ["figure1", "figure3", "figure4", "roofline"])
def test_captions_name_machine_caches_precision_threads_and_source(make, name):
    said = words(draw(name, study(make)))
    for part in ("Made-up CPU (virtual)", "LLC 32 MiB/16-way", "f32 and f16 on the GPU", "1 thread"):
        assert part in said
    if name != "figure1":
        assert "simulated (llcsim, ISA avx2)" in said
        assert "LLC 4 MiB/16" in said


def test_gains_of_networks_are_over_what_native_means_for_them(make):
    """DARTS: 600 / 50 ms natively, 250 / 50 ms against explicit oneDNN; the others 150 / 50."""
    figure = draw("figure5", networks(make))
    bold = sorted(text.get_text() for text in figure.findobj(Text) if text.get_fontweight() == "bold")
    assert bold == ["12.0x", *["3.0x"] * 10, "5.0x"]
    (axes,) = figure.axes
    assert sorted(round(bar.get_width(), 6) for bar in axes.patches) == [50] * 12 + [150] * 10 + [250, 600]


def test_a_point_of_the_roofline_in_numbers(make):
    """50 blocks x 64² x 1000 FLOPs in 50 x 64² x 4e-7 s; bytes: 64 x (misses + half as many write-backs)."""
    figure = draw("roofline", study(make, batches=(1,)))
    (axes,) = figure.axes
    points = [(*line.get_xdata(), *line.get_ydata()) for line in lines(axes, "torch")]
    work = 50 * 64**2 * 1000
    assert points[0] == pytest.approx(
        (work / (64 * 1.5 * misses("torch", 50)), work / seconds("torch", 50) / 1e9)
    )
    roof = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert (roof.get_xdata()[1], roof.get_ydata()[1]) == pytest.approx((10, 100))


def test_a_narrower_precision_is_a_paler_line(make):
    """Beside f32 on the same backend."""
    for precision, depth in itertools.product(("f32", "int8"), (10, 50)):
        make.timed(depth, backend="openvino-cpu", precision=precision, depth=depth)
    drawn = lines(panel(draw("figure1", make.made), "standard"), "openvino-cpu")
    assert [line.get_alpha() for line in drawn] == [1.0, style.strength("int8")]


def test_the_roof_is_that_of_f32(make):
    """A point in int8 is not drawn under it, and the caption says so."""
    study(make, batches=(1,))
    drawn = len(draw("roofline", make.made).axes[0].lines)
    make.timed(1e-3, backend="openvino-cpu", precision="int8", depth=50)
    make.counted({"paper": 10}, backend="openvino-cpu", precision="int8", depth=50)
    figure = draw("roofline", make.made)
    assert len(figure.axes[0].lines) == drawn
    assert "Left out, since the roof is not theirs: int8." in words(figure)


def test_layers_are_bars_of_their_time_and_misses(make):
    figure = draw("layers", by_layer(make))
    times, counts = figure.axes[0], figure.axes[1]
    assert [bar.get_width() for bar in times.patches] == [pytest.approx(3000), pytest.approx(1000)]
    assert [bar.get_width() for bar in counts.patches] == [500, 20]
    assert {to_hex(bar.get_facecolor()) for bar in times.patches} == {plot.COLOURS["torch"].lower()}


def test_curve_joins_caches_behind_one_l2(make):
    curve(make)
    axes = panel(draw("misses", make.made), "standard")
    assert [tuple(line.get_ydata()) for line in lines(axes, "torch")] == [(16_000, 4_000, 1_000)]
    assert tuple(lines(axes, "openvino-cpu")[0].get_xdata()) == (1, 4)
    assert [line for line in axes.lines if line.get_marker() == "v" and len(line.get_xdata())]


def test_a_line_for_each_depth(make):
    """With the blocks at its left end; the caption says so. Nothing of latency is drawn, or said."""
    for depth in (10, 30):
        curve(make, depth=depth)
    axes = panel(draw("misses", make.made), "standard")
    assert len(lines(axes, "torch")) == len(lines(axes, "openvino-cpu")) == 2
    labels = [(text.get_text(), to_hex(text.get_color())) for text in axes.texts]
    assert sorted(labels) == sorted(
        (depth, plot.COLOURS[backend].lower())
        for depth in ("10", "30")
        for backend in ("torch", "openvino-cpu")
    )
    said = words(axes.figure)
    assert "10 and 30 blocks, width 64" in said
    assert "At the lines: blocks." in said
    assert "Latency" not in said


def test_a_recorded_curve_is_drawn_as_it_is(make):
    """64 sizes of the paper's sets, 256 KiB a way, and the host's, which is not drawn."""
    points = [
        {"cache": cache, "llc_bytes": ways * 2**18, "ways": ways, "misses": scale // ways}
        for cache, scale in (("host", 7), ("paper", 6400))
        for ways in range(1, 65)
    ]
    record = make.counted({"host": 7, "paper": 400})
    record = dataclasses.replace(record, curve=tuple(points))
    axes = panel(draw("misses", [record]), "standard")
    (line,) = lines(axes, "torch")
    assert list(line.get_xdata()) == [ways / 4 for ways in range(1, 65)]
    assert list(line.get_ydata()) == [6400 // ways for ways in range(1, 65)]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.25", "0.5", "1", "2", "4", "8", "16"]
    assert "LLC of each size (its 4096 sets, LRU)" in words(axes.figure)


def test_caches_behind_different_l2s_are_not_joined(make):
    """The made-up host and paper have LLCs of two sizes behind one L2; with another L2 nothing is left."""
    study(make)
    records = [record for record in make.made if record.launcher == "llcsim"]
    other = [{**cache, "l2_bytes": cache["llc_bytes"] // 8} for cache in records[0].caches]
    make.made.clear()
    make.add(launcher="llcsim", counts=records[0].counts, caches=tuple(other))
    with pytest.raises(ResultsError, match="behind one L2"):
        draw("misses", make.made)


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_to_draw_is_an_error_with_a_remedy(make, name):
    make.failed("whatever")
    with pytest.raises(ResultsError, match="nothing to draw"):
        draw(name, make.made)


def test_a_caption_tells_the_kernels_that_are_drawn(make):
    """Points timed twice, 1 s natively and 2 s held to AVX2, in which they were counted too."""
    for depth in (10, 50):
        make.timed(1.0, isa="avx512", depth=depth)
        make.timed(2.0, isa_cap="avx2", depth=depth)
        make.counted({"paper": 100 * depth}, depth=depth)
    drawn = {}
    for figure in (plot.latency_figure(make.made, "depth"), plot.misses_figure(make.made, "depth")):
        said = " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")
        drawn["held to avx2" in said] = set(figure.axes[0].lines[0].get_ydata())
    assert drawn == {False: {1000.0}, True: {2000.0}}
