"""Findings over width, and what FLOPs say: Figure 2."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from formfn_profile import association
from formfn_profile.findings.data import CPU, GPU, NATIVE, Data, ends, missing_patterns
from formfn_profile.findings.verdicts import (
    Figure,
    Finding,
    Verdict,
    above,
    all_of,
    claim,
    equal,
    figure,
    finding,
    not_measured,
)

if TYPE_CHECKING:
    from formfn_profile.observations import Estimate, Observation, Sweep

NO_WIDTHS = "needs patterns in PyTorch and OpenVINO at two widths or more, timed"
SPREAD = 2.0
PREDICTS, FAILS = 0.95, 0.8
STEEP = ("standard", "factorized", "bottleneck")
GENTLE = ("dwseparable", "dwbottleneck", "grouped")


@claim(
    "flops-fail-across-patterns",
    "FLOPs don't predict latency across patterns",
    where="Figures 1 and 2",
    paper="patterns with fewer FLOPs are not faster in proportion",
)
def flops_fail_across_patterns(data: Data) -> Finding:
    """
    At one depth and width, time a FLOP differs between patterns more than twofold, in PyTorch and in
    OpenVINO (if FLOPs predicted latency, it would be one number).
    """
    sweep = data.depth or data.width
    figures, verdicts, names = [], [], []
    for backend in (NATIVE, CPU):
        cost = _cost(data, sweep, backend) if sweep else {}
        if len(cost) < 3:
            continue
        dear = max(cost, key=lambda name: cost[name].value)
        cheap = min(cost, key=lambda name: cost[name].value)
        spread = cost[dear].over(cost[cheap])
        verdicts.append(above(spread, SPREAD))
        names = list(cost)
        figures.append(figure(f"{backend}, time a FLOP of {dear} over that of {cheap}", spread))
    if not verdicts:
        return not_measured("needs three patterns or more at one depth and width, timed")
    return finding(all_of(verdicts), figures, incomplete=missing_patterns(names))


@claim(
    "flops-predict-over-width",
    "FLOPs do predict latency over the width of one pattern",
    where="Figure 2",
    paper="latency follows FLOPs over width",
)
def flops_predict_over_width(data: Data) -> Finding:
    """
    Pearson's r of log latency and log FLOPs over the widths (three or more) of each pattern and backend:
    0.95 or more for all holds, below 0.8 for any doesn't.
    """
    figures: list[Figure] = []
    verdicts: list[Verdict] = []
    names = []
    for line, points in data.width.lines.items() if data.width else ():
        timed = [(each.point.flops, found.value) for each in points if (found := each.latency())]
        pairs = [(math.log(flops), math.log(value)) for flops, value in timed if flops]
        r = association.pearson([x for x, _ in pairs], [y for _, y in pairs]) if pairs else None
        if r is None:
            continue
        verdicts.append("holds" if r >= PREDICTS else "doesn't" if r < FAILS else "inconclusive")
        names.append(line.network)
        figures.append(Figure(f"r, {line.network} on {line.backend}", r, r, r, ""))
    if not verdicts:
        return not_measured("needs a pattern at three widths or more, timed")
    lowest = sorted(figures, key=lambda each: each.value)[:6]
    return finding(all_of(verdicts), lowest, incomplete=missing_patterns(names))


@claim(
    "bottleneck-loses-when-wide",
    "At large width the bottleneck gains less than the standard convolution",
    where="Figure 2",
    paper="bottleneck does worse than standard at large width",
)
def bottleneck_loses_when_wide(data: Data) -> Finding:
    """The speed-up of standard over that of bottleneck at the greatest width is above 1 by more than 5%."""
    gains = data.gains(data.width) if data.width else {}
    shared = [width for name, width in gains if name == "standard" and ("bottleneck", width) in gains]
    if not shared:
        return not_measured(f"{NO_WIDTHS}, standard and bottleneck among them")
    wide = max(shared)
    ratio = gains["standard", wide].over(gains["bottleneck", wide])
    figures = [figure(f"{name} at width {wide}", gains[name, wide]) for name in ("standard", "bottleneck")]
    return finding(above(ratio), [*figures, figure("standard over bottleneck", ratio)])


@claim(
    "width-scaling",
    "Standard, factorized and bottleneck scale worse with width than depthwise and grouped",
    where="Figure 2",
    paper="two groups: standard, factorized, bottleneck; and dwseparable, dwbottleneck, grouped",
)
def width_scaling(data: Data) -> Finding:
    """
    OpenVINO's latency at the greatest width over that at the least: for each of the first three above that
    of each of the other three by more than 5%.
    """
    growth = _growth(data, CPU)
    pairs = [(steep, gentle) for steep in STEEP for gentle in GENTLE if {steep, gentle} <= set(growth)]
    if not pairs:
        return not_measured(NO_WIDTHS)
    verdict = all_of(above(growth[steep].over(growth[gentle])) for steep, gentle in pairs)
    figures = [figure(name, growth[name]) for name in (*STEEP, *GENTLE) if name in growth]
    return finding(verdict, figures, incomplete=missing_patterns(growth))


@claim(
    "standard-needs-gpu",
    "The standard convolution needs the GPU to scale with width",
    where="Figure 2",
    paper="standard scales on the GPU only",
)
def standard_needs_gpu(data: Data) -> Finding:
    """Its latency grows with width on OpenVINO's CPU more than on the GPU, by more than 5%."""
    cpu, gpu = _growth(data, CPU).get("standard"), _growth(data, GPU).get("standard")
    if gpu is None or cpu is None:
        return not_measured(data.gpu_reason() if gpu is None else NO_WIDTHS)
    ratio = cpu.over(gpu)
    return finding(above(ratio), [figure("growth on the CPU", cpu), figure("growth on the GPU", gpu)])


@claim(
    "cpu-on-a-par-with-gpu",
    "Over width the CPU is on a par with the GPU for depthwise and grouped",
    where="Figure 2",
    paper="about equal",
)
def cpu_on_a_par_with_gpu(data: Data) -> Finding:
    """Latency on the CPU over that on the GPU is within 1.25 either way at every width of the three."""
    figures, verdicts, names = [], [], []
    sweep = data.width
    if sweep is None:
        return not_measured(NO_WIDTHS)
    for name in GENTLE:
        for width in sweep.values:
            cpu, gpu = (data.latency(sweep, name, each, width) for each in (CPU, GPU))
            if cpu and gpu:
                ratio = cpu.over(gpu)
                verdicts.append(equal(ratio))
                names.append(name)
                figures.append(figure(f"{name} at width {width}, CPU over GPU", ratio))
    if not verdicts:
        return not_measured(data.gpu_reason())
    missing = [name for name in GENTLE if name not in names]
    incomplete = f"not measured: {', '.join(missing)}" if missing else None
    return finding(all_of(verdicts), figures, incomplete=incomplete)


def _cost(data: Data, sweep: Sweep, backend: str) -> dict[str, Estimate]:
    """Return seconds a FLOP of each pattern, at the value of the sweep that most patterns were timed at."""
    timed: dict[int, dict[str, Estimate]] = {}
    for name in sweep.networks:
        for value in sweep.values:
            one = data.find(sweep, name, backend, value)
            found = _seconds_a_flop(one)
            if found is not None:
                timed.setdefault(value, {})[name] = found
    return timed[max(timed, key=lambda value: (len(timed[value]), value))] if timed else {}


def _seconds_a_flop(one: Observation | None) -> Estimate | None:
    taken = None if one is None else one.latency()
    if one is None or taken is None or not one.point.flops:
        return None
    return taken.times(1 / one.point.flops)


def _growth(data: Data, backend: str) -> dict[str, Estimate]:
    """Return each pattern's latency at the greatest width over that at the least."""
    found: dict[str, Estimate] = {}
    if data.width is None:
        return found
    low, high = ends(data.width.values)
    for name in data.width.networks:
        wide = data.latency(data.width, name, backend, high)
        narrow = data.latency(data.width, name, backend, low)
        if wide and narrow:
            found[name] = wide.over(narrow)
    return found
