"""The choice of where counts come from, once, before anything long begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from formfn_profile.errors import MeasurementError

if TYPE_CHECKING:
    from perfcounters.caches import Level, Processor

Asked = Literal["auto", "hardware", "simulated", "none"]


@dataclass(frozen=True)
class Source:
    """Where counts come from, and `why`, in a sentence."""

    counters: Literal["hardware", "simulated", "none"]
    why: str
    processors: tuple[Processor, ...] = ()


def choose(
    counters: Asked = "auto", *, cache: str | None = None, l2: str | None = None, curve: bool = False
) -> Source:
    """
    Choose: "auto" is hardware where it counts right on this machine, else the simulator.

    `cache` names the caches to simulate ("host,paper,8M/16"), `l2` an L2 in place of theirs, or "none";
    `curve` wants LLCs of all sizes. Each of them asks for the simulator, but for the `cache` "host".

    Raises:
        MeasurementError: What is asked for does not go together.
        PerfCountersError: No such cache is known.
    """
    from perfcounters import caches

    named = (("cache", None if cache == "host" else cache), ("L2", l2))
    modelled = " ".join(f"{name} {value}" for name, value in named if value) or ("curve" if curve else "")
    if modelled:
        if counters in ("hardware", "none"):
            reason = {
                "hardware": f"the hardware counts in this machine's own caches, not in others ({modelled})",
                "none": f"nothing is to be counted (counters none), but caches are named ({modelled})",
            }[counters]
            raise MeasurementError(f"{reason}. Leave one of the two out")
        why = f"They were asked for ({modelled})."
    elif counters == "none":
        return Source("none", "None were asked for (counters none).")
    elif counters == "simulated":
        why = "They were asked for (counters simulated)."
    else:
        from perfcounters import trust

        trusted = trust.llc()
        if trusted.trusted or counters == "hardware":
            return Source("hardware", trusted.reason)
        why = trusted.reason
    return Source("simulated", why, caches.resolve(cache or "host,paper", l2=_l2(l2)))


def _l2(text: str | None) -> Level | Literal["keep"] | None:
    """Read a cache, none, or (where it was not given) each processor's own."""
    from perfcounters.caches import Level

    if text is None:
        return "keep"
    return None if text == "none" else Level.parse(text)
