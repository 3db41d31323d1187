"""What claims are tested on: the records as points, sweeps and gains, looked up once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from formfn_profile.networks import NETWORKS
from formfn_profile.observations import (
    CPU,
    GPU,
    NATIVE,
    Estimate,
    Observation,
    Sweep,
    best,
    gpu_reason,
    miss_source,
    observations,
    speed_up,
    sweeps,
    twin,
)
from formfn_profile.patterns import PATTERNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from formfn_profile.results import Record
    from formfn_profile.table import CacheFigures

DEEP, SHALLOW = 50, 10


class Data:
    """
    Records, seen as the paper's three experiments.

    A sweep is the fullest one in the records: over `depth` and over `width`, at one resolution, batch and
    number of threads.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.points: list[Observation] = observations(records)

    @cached_property
    def depth(self) -> Sweep | None:
        """The fullest sweep over depth."""
        return best(self.points, "depth")

    @cached_property
    def width(self) -> Sweep | None:
        """The fullest sweep over width."""
        return best(self.points, "width")

    @cached_property
    def batch(self) -> Sweep | None:
        """The fullest sweep over batch, the deepest of equals."""
        found = sweeps(self.points, "batch")
        full = len(found[0].observations) if found else 0
        equal = [sweep for sweep in found if len(sweep.observations) == full]
        return max(equal, key=lambda sweep: sweep.fixed["depth"] or 0, default=None)

    @cached_property
    def named(self) -> list[Observation]:
        """The named networks that were measured, at the batch size of most of them."""
        found = [each for each in self.points if each.point.network in NETWORKS]
        batches = [each.point.batch for each in found]
        usual = max(set(batches), key=lambda batch: (batches.count(batch), -batch)) if batches else None
        return [each for each in found if each.point.batch == usual]

    @cached_property
    def source(self) -> tuple[bool, str | None]:
        """Whether misses were counted, and in which cache (None is the hardware)."""
        return miss_source(self.points)

    @property
    def source_words(self) -> str:
        """Say whose misses these are."""
        counted, name = self.source
        if not counted:
            return "LLC misses were not counted"
        if name is None:
            return "LLC misses counted by the hardware"
        whose = {"host": "this machine's caches", "paper": "the paper's 4 MiB LLC"}.get(name, name)
        return f"LLC misses simulated with {whose}"

    def misses(self, one: Observation | None) -> float | None:
        """Return a point's LLC misses a call, by the source used throughout."""
        figures = self._figures(one)
        return None if figures is None else figures.misses

    def find(self, sweep: Sweep, network: str, backend: str, value: int) -> Observation | None:
        """Return the point of a sweep; of several precisions the device's own (the GPU's f16)."""
        wanted = "f16" if backend == GPU else "f32"
        found = [
            each
            for line, points in sweep.of(network).items()
            if line.backend == backend
            for each in points
            if each.at(sweep.axis) == value
        ]
        return min(found, key=lambda each: each.point.precision != wanted, default=None)

    def gain(self, one: Observation | None) -> Estimate | None:
        """Return the speed-up of a point over native PyTorch."""
        return None if one is None else speed_up(one, self.points)

    def gains(self, sweep: Sweep, backend: str = CPU) -> dict[tuple[str, int], Estimate]:
        """Return the speed-up of every pattern and value of a sweep where both were timed."""
        found = {}
        for network in sweep.networks:
            for value in sweep.values:
                gained = self.gain(self.find(sweep, network, backend, value))
                if gained is not None:
                    found[network, value] = gained
        return found

    def latency(self, sweep: Sweep, network: str, backend: str, value: int) -> Estimate | None:
        """Return a point's latency for each image, in seconds."""
        one = self.find(sweep, network, backend, value)
        return None if one is None else one.image_latency()

    def misses_ratio(self, one: Observation | None) -> Estimate | None:
        """
        Return native PyTorch's misses over this point's, no misses counting as one.

        None where both fit in the LLC: what is left there is chance.
        """
        native = None if one is None else twin(one, self.points)
        before, after = self._figures(native), self._figures(one)
        if before is None or after is None or (before.fits and after.fits):
            return None
        if before.misses is None or after.misses is None or before.misses == after.misses == 0:
            return None
        ratio = max(before.misses, 1) / max(after.misses, 1)
        return Estimate(ratio, ratio, ratio)

    def misses_ratios(self, sweep: Sweep, backend: str = CPU) -> dict[tuple[str, int], Estimate]:
        """Return how many times fewer misses there are, of every pattern and value of a sweep."""
        found = {}
        for network in sweep.networks:
            for value in sweep.values:
                ratio = self.misses_ratio(self.find(sweep, network, backend, value))
                if ratio is not None:
                    found[network, value] = ratio
        return found

    def _figures(self, one: Observation | None) -> CacheFigures | None:
        counted, name = self.source
        return one.cache(name) if one is not None and counted else None

    def gpu_reason(self) -> str:
        """Say why there is nothing of a GPU."""
        return f"the GPU was {gpu_reason(self.points)}"


def missing_patterns(found: Iterable[str]) -> str | None:
    """Say which of the six patterns were not measured; None where all were."""
    measured = set(found)
    missing = [name for name in PATTERNS if name not in measured]
    return f"not measured: {', '.join(missing)}" if missing else None


def ends(values: Sequence[int]) -> tuple[int, int]:
    """Return the least and the greatest value."""
    return min(values), max(values)


__all__ = ["CPU", "DEEP", "GPU", "NATIVE", "SHALLOW", "Data", "ends", "missing_patterns"]
