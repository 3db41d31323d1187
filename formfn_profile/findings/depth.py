"""Findings over depth and batch: Figure 1 and the paper's Experiment 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.findings.data import CPU, DEEP, GPU, NATIVE, SHALLOW, Data, ends, missing_patterns
from formfn_profile.findings.verdicts import (
    PAR,
    Figure,
    Finding,
    above,
    all_of,
    at_most,
    claim,
    extremes,
    figure,
    finding,
    mean,
    not_measured,
    percentage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from formfn_profile.observations import Estimate, Sweep

NO_DEPTHS = "needs patterns in PyTorch and OpenVINO at two depths or more, timed"
NO_BATCHES = "needs patterns in PyTorch and OpenVINO at two batch sizes or more, timed"


@claim(
    "acceleration-helps",
    "Acceleration makes every pattern faster, at every depth",
    where="Figure 1",
    paper="a gain for every pattern at every depth",
)
def acceleration_helps(data: Data) -> Finding:
    """OpenVINO's speed-up on the CPU is above 1 for every pattern and depth, by more than 5%."""
    gains = data.gains(data.depth) if data.depth else {}
    if not gains:
        return not_measured(NO_DEPTHS)
    labelled = [(f"{name} at depth {depth}", gain) for (name, depth), gain in gains.items()]
    slower = [label for label, gain in labelled if above(gain) == "doesn't"]
    return finding(
        all_of(above(gain) for gain in gains.values()),
        extremes(labelled),
        remark=f"slower: {', '.join(slower)}" if slower else "",
        incomplete=missing_patterns(name for name, _ in gains),
    )


@claim(
    "gain-grows-with-depth",
    "The gain grows with depth",
    where="Figure 1",
    paper="deeper networks gain more",
)
def gain_grows_with_depth(data: Data) -> Finding:
    """Each pattern's speed-up at its deepest is above that at its shallowest by more than 5%."""
    return _gain_grows(data, data.depth, "depth", NO_DEPTHS)


@claim(
    "mean-gain",
    "The mean gain over patterns and depths reaches 380%",
    where="abstract, Figure 1",
    paper="380%: 3.8x, or 4.8x if it is what was gained",
)
def mean_gain(data: Data) -> Finding:
    """The arithmetic mean of OpenVINO's speed-ups on the CPU over patterns and depths, in both readings."""
    gains = data.gains(data.depth) if data.depth else {}
    if not gains:
        return not_measured(NO_DEPTHS)
    average = mean(list(gains.values()))
    verdict, said = percentage(average, 380)
    figures = [figure(f"mean of {len(gains)} points", average)]
    return finding(verdict, figures, remark=said, incomplete=missing_patterns(name for name, _ in gains))


@claim(
    "dwbottleneck-gains-most",
    "At 50 layers the depthwise bottleneck gains most of the six patterns",
    where="Figure 1",
    paper="550% (520% in Figure 3's caption), the most",
)
def dwbottleneck_gains_most(data: Data) -> Finding:
    """Its speed-up at the greatest depth over that of each other pattern: above 1 by more than 5%."""
    deepest, gains = _deepest_gains(data)
    ours = gains.get("dwbottleneck")
    if ours is None or len(gains) < 2:
        return not_measured(f"{NO_DEPTHS}, dwbottleneck among them")
    figures = [figure(name, gain) for name, gain in sorted(gains.items(), key=lambda item: -item[1].value)]
    verdict = all_of(above(ours.over(gain)) for name, gain in gains.items() if name != "dwbottleneck")
    return finding(
        verdict, figures, remark=f"gains at depth {deepest}", incomplete=_incomplete(deepest, gains)
    )


@claim(
    "dwbottleneck-gain",
    "At 50 layers the depthwise bottleneck gains 550%",
    where="abstract, Figure 1; 520% in Figure 3's caption",
    paper="550%: 5.5x or 6.5x; 520%: 5.2x or 6.2x",
)
def dwbottleneck_gain(data: Data) -> Finding:
    """Its speed-up at depth 50 reaches 550%, in both readings."""
    deepest, gains = _deepest_gains(data)
    if "dwbottleneck" not in gains:
        return not_measured(f"{NO_DEPTHS}, dwbottleneck among them")
    verdict, said = percentage(gains["dwbottleneck"], 550)
    made = [figure(f"dwbottleneck at depth {deepest}", gains["dwbottleneck"])]
    if deepest != DEEP:
        return Finding("inconclusive", tuple(made), f"the paper's depth is {DEEP}")
    return finding(verdict, made, remark=said)


@claim(
    "separable-fifty-as-ten",
    "An accelerated 50-layer separable network costs what a 10-layer one costs natively",
    where="Figure 1",
    paper="about equal",
)
def separable_fifty_as_ten(data: Data) -> Finding:
    """OpenVINO's latency of dwseparable at depth 50 is at most 1.25 times PyTorch's at depth 10."""
    ratio = None
    if data.depth:
        deep = data.latency(data.depth, "dwseparable", CPU, DEEP)
        shallow = data.latency(data.depth, "dwseparable", NATIVE, SHALLOW)
        ratio = deep.over(shallow) if deep and shallow else None
    if ratio is None:
        return not_measured("needs dwseparable at depth 10 in PyTorch and at depth 50 in OpenVINO, timed")
    return finding(at_most(ratio, PAR), [figure("50 accelerated over 10 native", ratio)])


@claim(
    "batch-slows-native-only",
    "Native time for each image rises with the batch, accelerated time doesn't",
    where="Figure 1",
    paper="rises natively with batch 8 and 32, about constant accelerated",
)
def batch_slows_native_only(data: Data) -> Finding:
    """
    From the smallest to the largest batch: PyTorch's latency an image rises by more than 5%, OpenVINO's by
    at most 25%, for every pattern.
    """
    figures: list[Figure] = []
    verdicts, names = [], []
    for name in data.batch.networks if data.batch else ():
        for backend, word in ((NATIVE, "native"), (CPU, "accelerated")):
            rise = _rise(data, name, backend)
            if rise is not None:
                verdicts.append(above(rise) if backend == NATIVE else at_most(rise, PAR))
                figures.append(figure(f"{name}, {word}", rise))
                names.append((name, backend))
    both = [name for name, backend in names if backend == CPU and (name, NATIVE) in names]
    if not both:
        return not_measured(NO_BATCHES)
    return finding(all_of(verdicts), figures, incomplete=missing_patterns(both))


@claim(
    "gain-grows-with-batch",
    "The gain grows with the batch",
    where="Figure 1",
    paper="gains rise from batch 1 to 8 to 32",
)
def gain_grows_with_batch(data: Data) -> Finding:
    """Each pattern's speed-up at the largest batch is above that at the smallest by more than 5%."""
    return _gain_grows(data, data.batch, "batch", NO_BATCHES)


def _gain_grows(data: Data, sweep: Sweep | None, axis: str, absent: str) -> Finding:
    gains = data.gains(sweep) if sweep else {}
    figures, verdicts, names = [], [], []
    for name in dict.fromkeys(name for name, _ in gains):
        low, high = ends([value for pattern, value in gains if pattern == name])
        if low != high:
            ratio = gains[name, high].over(gains[name, low])
            verdicts.append(above(ratio))
            names.append(name)
            figures.append(figure(f"{name}, gain at {axis} {high} over that at {low}", ratio))
    if not verdicts:
        return not_measured(absent)
    return finding(all_of(verdicts), figures, incomplete=missing_patterns(names))


@claim(
    "gpu-gains-most",
    "The integrated GPU gains more than the CPU",
    where="Figure 1",
    paper="the largest gain is the GPU's, at every depth",
)
def gpu_gains_most(data: Data) -> Finding:
    """OpenVINO's speed-up on the GPU over that on the CPU is above 1 by more than 5%, everywhere."""
    if not data.depth:
        return not_measured(NO_DEPTHS)
    gpu, cpu = data.gains(data.depth, GPU), data.gains(data.depth, CPU)
    ratios = [
        (f"{name} at depth {depth}", gain.over(cpu[name, depth]))
        for (name, depth), gain in gpu.items()
        if (name, depth) in cpu
    ]
    if not ratios:
        return not_measured(data.gpu_reason())
    return finding(
        all_of(above(ratio) for _, ratio in ratios),
        extremes(ratios),
        incomplete=missing_patterns(name for name, _ in gpu),
    )


def _deepest_gains(data: Data) -> tuple[int, dict[str, Estimate]]:
    gains = data.gains(data.depth) if data.depth else {}
    deepest = max((depth for _, depth in gains), default=0)
    return deepest, {name: gain for (name, depth), gain in gains.items() if depth == deepest}


def _incomplete(deepest: int, names: Iterable[str]) -> str | None:
    """Say what keeps a statement on all six patterns at 50 layers from being tested whole."""
    other = f"the paper's depth is {DEEP}" if deepest != DEEP else None
    return ". ".join(filter(None, (other, missing_patterns(names)))) or None


def _rise(data: Data, network: str, backend: str) -> Estimate | None:
    """Return the latency for each image at the largest batch over that at the smallest."""
    if data.batch is None:
        return None
    timed = {
        batch: found
        for batch in data.batch.values
        if (found := data.latency(data.batch, network, backend, batch))
    }
    low, high = ends(list(timed)) if timed else (0, 0)
    return timed[high].over(timed[low]) if low != high else None
