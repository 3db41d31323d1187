"""Findings on LLC misses, precision, fusing and layouts: Figures 3 and 4."""

from __future__ import annotations

import itertools

from formfn_profile.findings.data import CPU, GPU, NATIVE, Data, missing_patterns
from formfn_profile.findings.verdicts import (
    COUNT_MARGIN,
    Figure,
    Finding,
    Verdict,
    above,
    all_of,
    claim,
    extremes,
    figure,
    finding,
    geometric_mean,
    not_measured,
)
from formfn_profile.observations import Estimate, Observation

NO_COUNTS = "needs patterns in PyTorch and OpenVINO that don't fit in the LLC, their misses counted"
FEWEST, MOST = 7.0, 15.0
F16_GAIN = 1.10
ENTRY_AND_EXIT = 2
_ON_ITS_OWN = ("Eltwise", "Subgraph", "Relu", "Clamp", "Math")


@claim(
    "misses-fall",
    "Acceleration lowers LLC misses in every case",
    where="Figures 3 and 4",
    paper="fewer LLC misses for every pattern, depth and width",
)
def misses_fall(data: Data) -> Finding:
    """
    PyTorch's LLC misses over OpenVINO's are above 1 by more than 10% at every depth and width. What fits in
    the LLC on both sides (misses below 1% of its lines) has none to lower and is left out.
    """
    ratios = [
        (f"{name} at {sweep.axis} {value}", ratio)
        for sweep in (data.depth, data.width)
        if sweep
        for (name, value), ratio in data.misses_ratios(sweep).items()
    ]
    if not ratios:
        return not_measured(NO_COUNTS)
    rising = [label for label, ratio in ratios if above(ratio, 1, COUNT_MARGIN) == "doesn't"]
    words = data.source_words + (f"; more misses: {', '.join(rising)}" if rising else "")
    return finding(
        all_of(above(ratio, 1, COUNT_MARGIN) for _, ratio in ratios),
        extremes(ratios),
        remark=words,
        incomplete=missing_patterns(label.split(" at ")[0] for label, _ in ratios),
    )


@claim(
    "misses-tenfold",
    "LLC misses of the depthwise bottleneck fall about tenfold",
    where="Figure 3",
    paper="about 10x",
)
def misses_tenfold(data: Data) -> Finding:
    """The geometric mean over depths of PyTorch's misses over OpenVINO's lies within 7x and 15x."""
    ratios = data.misses_ratios(data.depth) if data.depth else {}
    ours = [ratio for (name, _), ratio in ratios.items() if name == "dwbottleneck"]
    if not ours:
        return not_measured(f"{NO_COUNTS}, dwbottleneck over depth among them")
    fall = geometric_mean(ours)
    near = all_of((above(fall, FEWEST, COUNT_MARGIN), _below(fall, MOST)))
    return finding(
        near, [figure(f"mean of {len(ours)} depth{'s' * (len(ours) > 1)}", fall)], remark=data.source_words
    )


@claim(
    "misses-fall-less-with-width",
    "LLC misses fall less over width than over depth",
    where="Figures 3 and 4",
    paper="a smaller fall in Figure 4 than in Figure 3",
)
def misses_fall_less_with_width(data: Data) -> Finding:
    """
    The geometric mean of the fall over depths is above that over widths by more than 10%, over the patterns
    that were counted in both.
    """
    found = [data.misses_ratios(sweep) if sweep else {} for sweep in (data.depth, data.width)]
    both = set.intersection(*({name for name, _ in each} for each in found))
    if not both:
        return not_measured(f"{NO_COUNTS}, the same ones over depth and over width")
    deep, wide = (
        geometric_mean([ratio for (name, _), ratio in each.items() if name in both]) for each in found
    )
    ratio = deep.over(wide)
    figures = [figure("mean fall over depth", deep), figure("mean fall over width", wide)]
    return finding(
        above(ratio, 1, COUNT_MARGIN), figures, remark=data.source_words, incomplete=missing_patterns(both)
    )


@claim(
    "gpu-misses-more-but-faster",
    "The GPU in half precision saves fewer LLC misses than the CPU and is still faster",
    where="Figure 3",
    paper="a smaller fall in misses, a lower latency",
)
def gpu_misses_more_but_faster(data: Data) -> Finding:
    """At every depth the GPU's misses are above OpenVINO CPU's by more than 10%, its latency below by 5%."""
    misses, faster = [], []
    sweep = data.depth
    if sweep is None:
        return not_measured(NO_COUNTS)
    for name, depth in itertools.product(sweep.networks, sweep.values):
        cpu, gpu = (data.find(sweep, name, each, depth) for each in (CPU, GPU))
        if cpu is None or gpu is None:
            continue
        ours, theirs, quick, slow = data.misses(gpu), data.misses(cpu), gpu.latency(), cpu.latency()
        if ours is None or not theirs or quick is None or slow is None:
            continue
        more = ours / theirs
        misses.append((f"{name} at depth {depth}", Estimate(more, more, more)))
        faster.append((f"{name} at depth {depth}", slow.over(quick)))
    if not misses:
        return not_measured(data.gpu_reason())
    verdicts = [above(ratio, 1, COUNT_MARGIN) for _, ratio in misses] + [above(ratio) for _, ratio in faster]
    figures = [
        *extremes([(f"misses, GPU over CPU, {label}", ratio) for label, ratio in misses]),
        *extremes([(f"latency, CPU over GPU, {label}", ratio) for label, ratio in faster]),
    ]
    return finding(all_of(verdicts), figures, remark=data.source_words)


@claim(
    "f16-gains-nothing-on-cpu",
    "Half precision gains nothing on the CPU",
    where="Experiment 2",
    paper="no gain",
)
def f16_gains_nothing_on_cpu(data: Data) -> Finding:
    """OpenVINO CPU's latency in f32 over that in f16, of the same point: at most 1.1 everywhere."""
    ratios = []
    for half in data.points:
        if half.point.backend != CPU or half.point.precision != "f16":
            continue
        full = next((each for each in data.points if _same_but_precision(each, half)), None)
        ours, theirs = half.latency(), full and full.latency()
        if ours and theirs:
            ratios.append((_label(half), theirs.over(ours)))
    if not ratios:
        return not_measured("needs OpenVINO CPU in f16 and in f32, timed")
    return finding(all_of(_below(ratio, F16_GAIN, 1.0) for _, ratio in ratios), extremes(ratios))


@claim(
    "relu-fused",
    "OpenVINO fuses ReLU into the convolutions",
    where="Experiment 2",
    paper="fused",
)
def relu_fused(data: Data) -> Finding:
    """
    In the runtime graph of a pattern whose network has ReLUs, no element-wise layer runs on its own; as
    many as there are ReLUs refutes it.
    """
    figures: list[Figure] = []
    verdicts: list[Verdict] = []
    for each in _deepest(data, CPU):
        relus = sum(
            number for name, number in each.point.uncounted.items() if "relu" in name or "hardtanh" in name
        )
        kernels = (each.best_timed or each.point).kernels
        if not relus or not kernels:
            continue
        own = sum(number for name, number in kernels.items() if name.split()[0] in _ON_ITS_OWN)
        verdicts.append("holds" if own == 0 else "doesn't" if own >= relus else "inconclusive")
        figures.append(Figure(f"{_label(each)}, element-wise layers for {relus} ReLUs", own, own, own, ""))
    if not verdicts:
        return not_measured("needs a pattern in OpenVINO with its kernels")
    return finding(all_of(verdicts), figures, incomplete=missing_patterns(_names(data, CPU)))


@claim(
    "layouts-reordered",
    "PyTorch reorders memory layouts between layers, OpenVINO doesn't",
    where="Experiment 2",
    paper="reorders in PyTorch's profile, none in OpenVINO's",
)
def layouts_reordered(data: Data) -> Finding:
    """
    Reorders among the kernels that ran: in PyTorch one a block at least, in OpenVINO two a network at most
    (on entry and at exit). PyTorch with none, or OpenVINO with one a block, refutes it.
    """
    figures: list[Figure] = []
    verdicts: list[Verdict] = []
    for backend in (NATIVE, CPU):
        for each in _deepest(data, backend):
            kernels = (each.best_timed or each.point).kernels
            blocks = each.at("depth")
            if not kernels or not blocks:
                continue
            number = sum(count for name, count in kernels.items() if "reorder" in name.lower())
            verdicts.append(_native(number, blocks) if backend == NATIVE else _accelerated(number, blocks))
            figures.append(Figure(f"{_label(each)} on {backend}", number, number, number, " reorders"))
    if len({each.label.rsplit(" ", 1)[1] for each in figures}) < 2:
        return not_measured("needs a pattern in PyTorch and OpenVINO with its kernels")
    against = [each.label for each, verdict in zip(figures, verdicts, strict=True) if verdict == "doesn't"]
    return finding(
        all_of(verdicts),
        figures,
        remark=f"against it: {'; '.join(against)}" if against else "",
        incomplete=missing_patterns(_names(data, CPU)),
    )


def _native(number: int, blocks: int) -> Verdict:
    if number == 0:
        return "doesn't"
    return "holds" if number >= blocks else "inconclusive"


def _accelerated(number: int, blocks: int) -> Verdict:
    if number <= ENTRY_AND_EXIT:
        return "holds"
    return "doesn't" if number >= blocks else "inconclusive"


def _below(ratio: Estimate, limit: float, margin: float = COUNT_MARGIN) -> Verdict:
    """Tell whether a ratio is below a limit by more than the margin, above it, or neither."""
    if ratio.high <= limit / margin:
        return "holds"
    return "doesn't" if ratio.low > limit * margin else "inconclusive"


def _same_but_precision(one: Observation, half: Observation) -> bool:
    names = ("network", "backend", "depth", "width", "resolution", "batch", "expansion", "threads", "seed")
    return one.point.precision == "f32" and all(
        getattr(one.point, n) == getattr(half.point, n) for n in names
    )


def _deepest(data: Data, backend: str) -> list[Observation]:
    """Return each pattern's point at its greatest depth."""
    found: dict[str, Observation] = {}
    for each in data.points:
        if each.is_pattern and each.point.backend == backend and each.point.kernels:
            before = found.get(each.point.network)
            if before is None or (each.at("depth") or 0) > (before.at("depth") or 0):
                found[each.point.network] = each
    return list(found.values())


def _names(data: Data, backend: str) -> list[str]:
    return [each.point.network for each in _deepest(data, backend)]


def _label(one: Observation) -> str:
    depth, width = one.at("depth"), one.at("width")
    return f"{one.point.network} at depth {depth}, width {width}" if depth else one.point.network
