"""What a study is to do: points, the rounds they go through, and how each is timed and counted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from formfn_profile import backends
from formfn_profile.measuring.launcher import Launcher, Settings
from formfn_profile.measuring.machine import usable_cpus
from formfn_profile.measuring.messages import CountingJob
from formfn_profile.models import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from formfn_profile.measuring.protocol import Protocol
    from formfn_profile.preparation import Spec
    from perfcounters.caches import Processor

__all__ = ["Point"]


@dataclass(frozen=True)
class Point:
    """A network and the backend that is to run it, with so many threads."""

    spec: Spec
    backend: str
    threads: int = 1
    precision: str = "f32"

    def __str__(self) -> str:
        """Name the point as progress and messages do."""
        return f"{self.spec}, {self.backend}"

    @property
    def size(self) -> float:
        """What time is taken to be proportional to, among the points of one study."""
        return float(self.spec.depth or 1)

    def fields(self) -> dict[str, Any]:
        """Return what a record says of what was asked for."""
        spec = self.spec
        inputs, digest = (spec.inputs, spec.digest) if isinstance(spec, ModelSpec) else ((), None)
        return {
            "network": spec.network,
            "pattern": spec.pattern,
            "depth": spec.depth,
            "width": spec.width,
            "resolution": spec.resolution,
            "batch": spec.batch,
            "expansion": spec.expansion,
            "seed": spec.seed,
            "inputs": tuple(map(str, inputs)),
            "digest": digest,
            "backend": self.backend,
            "precision": self.precision,
            "threads": self.threads,
        }


@dataclass(frozen=True)
class Phase:
    """
    `processes` rounds over the points with one launcher, each with workers of its own; more than one slot
    lets workers work side by side, and `alike` is how many of one backend may.
    """

    name: str
    launcher: Launcher
    timing: Protocol | None = None
    counting: CountingJob | None = None
    slots: int = 1
    alike: int = 1
    processes: int = 1
    interpreter: str | None = None

    @property
    def tied(self) -> bool:
        """Tell whether what it measures is of the machine it runs on: times, and hardware counts."""
        return self.launcher.name == "native"

    def run_by(self, interpreter: str | None) -> Phase:
        """Return the same phase with workers of another Python interpreter; None is this one."""
        if interpreter is None:
            return self
        program = (interpreter, *self.launcher.program[1:])
        return replace(self, launcher=replace(self.launcher, program=program), interpreter=interpreter)


@dataclass(frozen=True)
class Plan:
    """
    What a study does: every point timed natively with `protocol`, and counted.

    `counters` "hardware" counts in the same worker after the timed calls, "simulated" in workers of
    their own under llcsim, which models `processors`. `isa` caps the kernels of the native workers
    ("native" is no cap). `counted_calls` calls are counted; "none" counts nothing. Timing is repeated in
    `processes` fresh processes. A point that takes longer than `time_limit` seconds is given up.
    `against` is another Python interpreter: everything is measured by its workers too, in turns.
    `settings` are the simulator's. `layers` is over how many calls layers are measured one by one.
    """

    points: tuple[Point, ...]
    protocol: Protocol
    counters: Literal["hardware", "simulated", "none"]
    processors: tuple[Processor, ...] = ()
    isa: str = "native"
    counted_calls: int = 1
    processes: int = 1
    time_limit: float | None = None
    against: str | None = None
    settings: Settings = field(default_factory=Settings)
    layers: int = 0

    def phases(self) -> tuple[Phase, ...]:
        """Return the rounds that the points go through; with `against`, each by this program and by that."""
        programs = [None, self.against] if self.against else [None]
        return tuple(phase for kind in self._kinds() for phase in (kind.run_by(each) for each in programs))

    def _kinds(self) -> tuple[Phase, ...]:
        native = Launcher(environment=backends.isa_environment(self.isa))
        if self.counters == "hardware":
            counting = CountingJob("hardware", self.counted_calls)
            return (Phase("timed and counted", native, self.protocol, counting, processes=self.processes),)
        timed = Phase("timed", native, self.protocol, processes=self.processes)
        if self.counters == "none":
            return (timed,)
        counting = CountingJob("simulated", self.counted_calls)
        simulated = Launcher(self.processors, settings=self.settings)
        cpus = usable_cpus()
        # A worker keeps two busy, its program's and its model's. A layout is fixed only where one worker
        # counts all points of its backend, in their order.
        alike = 1 if self.settings.fixed_layout else max(1, cpus // 2)
        return (timed, Phase("simulated", simulated, counting=counting, slots=cpus, alike=alike))

    def tasks(self) -> Iterator[Task]:
        """
        Every point of every round of every phase: the two programs of a comparison take turns, a round
        each.
        """
        for _, phases in itertools.groupby(self.phases(), key=lambda phase: phase.name):
            same = list(phases)
            for process in range(same[0].processes):
                for phase in same:
                    for point in self.points:
                        yield Task(phase, process, point)


@dataclass(frozen=True)
class Task:
    """One point in one round, `process`, of a phase."""

    phase: Phase
    process: int
    point: Point

    def fields(self, plan: Plan) -> dict[str, Any]:
        """Return what its record says of what was asked for."""
        launcher = self.phase.launcher
        return {
            **self.point.fields(),
            "launcher": launcher.name,
            "process": self.process,
            "isa_cap": plan.isa if launcher.name == "native" else None,
            "simulation": launcher.simulation(self.point.threads),
            "caches": tuple(processor.to_dict() for processor in launcher.processors),
        }
