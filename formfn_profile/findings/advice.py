"""The paper's advice to designers, as far as one machine's records support it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from formfn_profile.findings.verdicts import Result

Support = Literal["supported", "in part", "not supported", "open"]

_ADVICE: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Judge a design by its latency on the runtime it will be deployed with: FLOPs do not rank patterns.",
        ("flops-fail-across-patterns",),
    ),
    (
        "Within one pattern, FLOPs are a fair guide to what another width will cost.",
        ("flops-predict-over-width",),
    ),
    (
        "Accelerate before you shrink: the same network in an optimising runtime is faster in any form.",
        ("acceleration-helps", "networks-gain"),
    ),
    (
        "Prefer depthwise bottlenecks where the network will be accelerated.",
        ("dwbottleneck-gains-most", "mobilenetv2-fastest"),
    ),
    ("Spend on depth: the gain grows with it.", ("gain-grows-with-depth", "separable-fifty-as-ten")),
    (
        "Widen depthwise and grouped networks; keep standard, factorized and bottleneck ones narrow.",
        ("width-scaling", "bottleneck-loses-when-wide"),
    ),
    ("Wide standard convolutions want a GPU.", ("standard-needs-gpu", "gpu-gains-most")),
    (
        "Batch images only where the runtime does not pay for it with the time of each.",
        ("batch-slows-native-only", "gain-grows-with-batch"),
    ),
    (
        "Keep data in the cache: fuse activations, keep one layout from end to end.",
        ("misses-fall", "relu-fused", "layouts-reordered"),
    ),
)


@dataclass(frozen=True)
class Advice:
    """An advice, whether these records support it, and by which claims."""

    text: str
    support: Support
    claims: tuple[str, ...]


def advise(results: Sequence[Result]) -> list[Advice]:
    """Return the advice with its support: all its claims hold, some do, none does, or none is decided."""
    verdicts = {each.claim.name: each.finding.verdict for each in results}
    return [Advice(text, _support([verdicts[name] for name in names]), names) for text, names in _ADVICE]


def _support(verdicts: Sequence[str]) -> Support:
    decided = [verdict for verdict in verdicts if verdict in ("holds", "doesn't")]
    if not decided:
        return "open"
    if all(verdict == "holds" for verdict in verdicts):
        return "supported"
    return "in part" if "holds" in decided else "not supported"
