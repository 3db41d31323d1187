"""Findings on the twelve networks: Figure 5 and Experiment 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile import association
from formfn_profile.findings.data import CPU, Data
from formfn_profile.findings.verdicts import (
    PAR,
    Figure,
    Finding,
    Verdict,
    above,
    all_of,
    claim,
    equal,
    extremes,
    figure,
    finding,
    mean,
    not_measured,
    percentage,
)
from formfn_profile.networks import NETWORKS
from formfn_profile.observations import network_gain

if TYPE_CHECKING:
    from formfn_profile.observations import Estimate, Observation

NO_NETWORKS = "needs named networks in PyTorch and OpenVINO, timed"
FOLLOWS, STRAYS = 0.6, 0.2
EXPLICIT = "darts-optimized"
FASTEST = "mobilenetv2"


@claim(
    "networks-gain",
    "Each of the twelve networks gains 200-300% at least",
    where="Figure 5",
    paper="200-300% or more: 2x to 3x, or 3x to 4x if it is what was gained",
)
def networks_gain(data: Data) -> Finding:
    """Each named network's speed-up on OpenVINO's CPU reaches 200%, in both readings."""
    gains = _gains(data)
    if not gains:
        return not_measured(NO_NETWORKS)
    said = [percentage(gain, 200) for gain in gains.values()]
    worst = min(gains, key=lambda name: gains[name].value)
    return finding(
        all_of(verdict for verdict, _ in said),
        extremes(list(gains.items())),
        remark=f"{worst} is {percentage(gains[worst], 200)[1]}",
        incomplete=_missing(gains),
    )


@claim(
    "mobilenetv2-fastest",
    "MobileNetV2 is the fastest of the twelve when accelerated",
    where="Figure 5",
    paper="the lowest latency, about 2.4 ms",
)
def mobilenetv2_fastest(data: Data) -> Finding:
    """OpenVINO's latency of every other network over MobileNetV2's is above 1 by more than 5%."""
    times = {name: found for name, each in _accelerated(data).items() if (found := each.image_latency())}
    if FASTEST not in times or len(times) < 2:
        return not_measured(f"{NO_NETWORKS}, {FASTEST} among them")
    ratios = [(name, found.over(times[FASTEST])) for name, found in times.items() if name != FASTEST]
    nearest = min(ratios, key=lambda item: item[1].value)
    figures = [
        figure("mobilenetv2", times[FASTEST].times(1e3), " ms"),
        figure(f"{nearest[0]}, the nearest, over it", nearest[1]),
    ]
    return finding(all_of(above(ratio) for _, ratio in ratios), figures, incomplete=_missing(times))


@claim("mobilenetv2-gain", "MobileNetV2 gains 700%", where="Figure 5", paper="700%: 7x or 8x")
def mobilenetv2_gain(data: Data) -> Finding:
    """Its speed-up on OpenVINO's CPU reaches 700%, in both readings."""
    return _one_gain(data, FASTEST, 700)


@claim("darts-gains-most", "DARTS gains most of the twelve", where="Figure 5", paper="1200%, the most of all")
def darts_gains_most(data: Data) -> Finding:
    """Its speed-up over that of every other network is above 1 by more than 5%."""
    gains = _gains(data)
    others = {name: gain for name, gain in gains.items() if name not in ("darts", EXPLICIT)}
    if "darts" not in gains or not others:
        return not_measured(f"{NO_NETWORKS}, darts among them")
    nearest = max(others, key=lambda name: others[name].value)
    figures = [figure("darts", gains["darts"]), figure(f"{nearest}, the next", others[nearest])]
    verdict = all_of(above(gains["darts"].over(gain)) for gain in others.values())
    return finding(verdict, figures, incomplete=_missing(gains))


@claim("darts-gain", "DARTS gains 1200%", where="abstract, Figure 5", paper="1200%: 12x or 13x")
def darts_gain(data: Data) -> Finding:
    """Its speed-up on OpenVINO's CPU over native PyTorch reaches 1200%, in both readings."""
    return _one_gain(data, "darts", 1200)


@claim(
    "darts-gain-over-onednn",
    "Against PyTorch with explicit oneDNN, DARTS gains about 500%",
    where="Figure 5",
    paper="about 500%: 5x or 6x",
)
def darts_gain_over_onednn(data: Data) -> Finding:
    """OpenVINO's speed-up over PyTorch with explicit oneDNN lies within 1.25 of 5x or of 6x."""
    gain = _gains(data).get(EXPLICIT)
    if gain is None:
        return not_measured("needs darts in OpenVINO and darts-optimized in torch-onednn, timed")
    verdicts: list[Verdict] = [equal(gain.times(1 / reading), PAR) for reading in (5, 6)]
    if "holds" in verdicts:
        verdict: Verdict = "holds"
    else:
        verdict = "doesn't" if verdicts == ["doesn't", "doesn't"] else "inconclusive"
    return finding(verdict, [figure("darts over explicit oneDNN", gain)])


@claim(
    "network-follows-pattern",
    "A network's gain follows that of its pattern",
    where="Experiment 3",
    paper="networks of a pattern gain as the pattern does",
)
def network_follows_pattern(data: Data) -> Finding:
    """
    Spearman's rho over five networks or more, of three patterns or more, between a network's gain and its
    pattern's mean gain over depth: 0.6 or more holds, below 0.2 doesn't.
    """
    deep = data.gains(data.depth) if data.depth else {}
    patterns = {
        name: mean([gain for (each, _), gain in deep.items() if each == name]).value
        for name in dict.fromkeys(name for name, _ in deep)
    }
    pairs = [
        (patterns[NETWORKS[name].pattern], gain.value)
        for name, gain in _gains(data).items()
        if NETWORKS[name].pattern in patterns and name != EXPLICIT
    ]
    if len(pairs) < 5 or len({x for x, _ in pairs}) < 3:
        return not_measured("needs five named networks of three patterns, and those patterns over depth")
    rho = association.spearman([x for x, _ in pairs], [y for _, y in pairs])
    if rho is None:
        return Finding("inconclusive", remark="gains don't vary")
    verdict: Verdict = "holds" if rho >= FOLLOWS else "doesn't" if rho < STRAYS else "inconclusive"
    return finding(verdict, [Figure(f"Spearman's rho of {len(pairs)} networks", rho, rho, rho, "")])


def _accelerated(data: Data) -> dict[str, Observation]:
    return {
        each.point.network: each
        for each in data.named
        if each.point.backend == CPU and each.point.precision == "f32"
    }


def _gains(data: Data) -> dict[str, Estimate]:
    """Return the speed-ups by network."""
    return {name: gain for name in NETWORKS if (gain := network_gain(name, CPU, data.named))}


def _one_gain(data: Data, name: str, percent: float) -> Finding:
    gain = _gains(data).get(name)
    if gain is None:
        return not_measured(f"{NO_NETWORKS}, {name} among them")
    verdict, said = percentage(gain, percent)
    return finding(verdict, [figure(name, gain)], remark=said)


def _missing(found: dict[str, Estimate]) -> str | None:
    missing = [name for name in NETWORKS if name not in found and name != EXPLICIT]
    return f"not measured: {', '.join(missing)}" if missing else None
