"""
From points to records: prepare each network, time it natively, count it, compare its output, build the
record.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from formfn_profile import backends
from formfn_profile.measure.crew import Crew, Outcome
from formfn_profile.measure.launcher import Launcher
from formfn_profile.measure.machine import machine, usable_cpus
from formfn_profile.measure.messages import CountingJob, Job
from formfn_profile.preparation import REFERENCE, Prepared, Preparer, relative_error
from formfn_profile.results import Record, Status, count_from_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from formfn_profile.measure.protocol import Protocol
    from formfn_profile.patterns import PatternSpec
    from formfn_profile.progress import Progress
    from perfcounters.caches import Processor

OUTPUT_LIMIT = 1e-3

_OWN_FIELDS = ("device", "memory_format", "isa", "kernels", "versions")


@dataclass(frozen=True)
class Point:
    """A network and the backend that is to run it, with so many threads."""

    spec: PatternSpec
    backend: str
    threads: int = 1
    precision: str = "f32"

    def __str__(self) -> str:
        """Name the point as progress and messages do."""
        return f"{self.spec.pattern} depth {self.spec.depth}, {self.backend}"


@dataclass(frozen=True)
class Phase:
    """One round over the points with one launcher; more than one slot lets workers work side by side."""

    name: str
    launcher: Launcher
    timing: Protocol | None = None
    counting: CountingJob | None = None
    slots: int = 1


@dataclass(frozen=True)
class Plan:
    """
    What a study does: every point timed natively with `protocol`, and counted.

    `counters` "hardware" counts in the same worker after the timed calls, "simulated" in workers of
    their own under llcsim, which models `processors`. `isa` caps the kernels of the native workers
    ("native" is no cap). `counted_calls` calls are counted.
    """

    points: tuple[Point, ...]
    protocol: Protocol
    counters: Literal["hardware", "simulated"]
    processors: tuple[Processor, ...] = ()
    isa: str = "native"
    counted_calls: int = 1

    def phases(self) -> tuple[Phase, ...]:
        """Return the rounds that the points go through."""
        native = Launcher(environment=backends.isa_environment(self.isa))
        if self.counters == "hardware":
            return (
                Phase(
                    "timed and counted", native, self.protocol, CountingJob("hardware", self.counted_calls)
                ),
            )
        counting = CountingJob("simulated", self.counted_calls)
        return (
            Phase("timed", native, self.protocol),
            Phase("simulated", Launcher(self.processors), counting=counting, slots=usable_cpus()),
        )


@dataclass
class Study:
    """
    A plan being carried out. `check` is called between steps and while workers work; what it raises
    ends the study.
    """

    plan: Plan
    progress: Progress
    check: Callable[[], None] = lambda: None
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def records(self) -> Generator[Record]:
        """
        Measure everything and yield each record as soon as there is one.

        Timed points come first, one at a time, a depth's backends one after the other; then what the
        simulator counts, side by side. What fails is a record with the reason. Closing the iterator
        ends every process it started.
        """
        self._machine = machine()
        for phase in self.plan.phases():
            for point in self.plan.points:
                self.progress.estimate.plan((phase.name, point.backend), point.spec.depth)
        with tempfile.TemporaryDirectory(prefix="formfn-profile-") as folder:
            preparer = Preparer(Path(folder))
            for phase in self.plan.phases():
                with Crew(phase.launcher, self._said, self.check) as crew:
                    yield from self._phase(phase, crew, preparer)

    def _phase(self, phase: Phase, crew: Crew, preparer: Preparer) -> Iterator[Record]:
        jobs: list[Job] = []
        for number, point in enumerate(self.plan.points):
            self.check()
            self.progress.say(str(point), "preparing")
            prepared = preparer.prepare(point.spec, point.backend)
            job = _job(phase, number, point, prepared.path, preparer.folder)
            if prepared.path is None:
                yield self._finish(phase, prepared, Outcome(job, None, prepared.reason), 0.0)
                continue
            jobs.append(job)
            if phase.slots == 1:  # timed: built just before its turn, so that the first result comes soon
                yield from self._carry_out(phase, crew, jobs, preparer)
                jobs = []
        yield from self._carry_out(phase, crew, jobs, preparer)

    def _carry_out(
        self, phase: Phase, crew: Crew, jobs: Sequence[Job], preparer: Preparer
    ) -> Iterator[Record]:
        since = {job.backend: time.monotonic() for job in jobs}
        for outcome in crew.run(jobs, phase.slots):
            point = self.plan.points[outcome.job.id]
            now = time.monotonic()
            seconds, since[point.backend] = now - since[point.backend], now
            yield self._finish(phase, preparer.prepare(point.spec, point.backend), outcome, seconds)

    def _finish(self, phase: Phase, prepared: Prepared, outcome: Outcome, seconds: float) -> Record:
        point = self.plan.points[outcome.job.id]
        record = self._record(phase, point, prepared, outcome)
        self.progress.estimate.finish((phase.name, point.backend), point.spec.depth, seconds)
        self.progress.done(
            str(point), phase.name if record.status == "ok" else f"{phase.name}: {record.reason}"
        )
        return record

    def _record(self, phase: Phase, point: Point, prepared: Prepared, outcome: Outcome) -> Record:
        result = outcome.result or {}
        facts: Mapping[str, Any] = result.get("facts", {})
        error = None
        if outcome.result is not None and prepared.reference is not None:
            error = relative_error(np.load(outcome.job.output), prepared.reference)
        status, reason = _verdict(point, outcome, facts, error)
        work = prepared.work
        spec = point.spec
        return Record(
            status=status,
            reason=reason,
            run_id=self.run_id,
            time=dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds"),
            launcher=phase.launcher.name,
            network=spec.pattern,
            pattern=spec.pattern,
            depth=spec.depth,
            width=spec.width,
            resolution=spec.resolution,
            batch=spec.batch,
            expansion=spec.expansion,
            seed=spec.seed,
            backend=point.backend,
            precision=point.precision,
            threads=point.threads,
            isa_cap=self.plan.isa if phase.launcher.name == "native" else None,
            macs=work and work.macs,
            flops=work and work.flops,
            parameters=work and work.parameters,
            parameter_bytes=work and work.parameter_bytes,
            activation_bytes=work and work.activation_bytes,
            uncounted=dict(work.uncounted) if work else {},
            prepare_s=prepared.seconds,
            load_s=result.get("load_s"),
            first_s=result.get("first_s"),
            warmup_s=tuple(result.get("warmup_s", ())),
            settled=result.get("settled"),
            latency_s=tuple(result.get("latency_s", ())),
            counts=tuple(count_from_dict(each) for each in result.get("counts", ())),
            caches=tuple(processor.to_dict() for processor in phase.launcher.processors),
            output_error=error,
            output_reference=None if error is None else REFERENCE,
            conditions=result.get("conditions", {}),
            machine=self._machine,
            properties={key: value for key, value in facts.items() if key not in _OWN_FIELDS},
            **{key: facts[key] for key in _OWN_FIELDS if key in facts},
        )

    def _said(self, job: Job, stage: str) -> None:
        self.progress.say(str(self.plan.points[job.id]), stage)


def _job(phase: Phase, number: int, point: Point, path: Path | None, folder: Path) -> Job:
    return Job(
        id=number,
        backend=point.backend,
        prepared=str(path or ""),
        threads=point.threads,
        output=str(folder / f"output-{phase.launcher.name}-{number}.npy"),
        timing=phase.timing,
        counting=phase.counting,
    )


def _verdict(
    point: Point, outcome: Outcome, facts: Mapping[str, Any], error: float | None
) -> tuple[Status, str | None]:
    """A measurement stands only if what ran is what was asked for, and computed what it should."""
    if outcome.result is None:
        return "failed", outcome.reason or "the worker gave no result"
    for name, asked in (("precision", point.precision), ("threads", point.threads)):
        if facts.get(name) not in (None, asked):
            return "failed", f"asked for {name} {asked}, but {point.backend} ran with {facts[name]}"
    if error is not None and not error <= OUTPUT_LIMIT:
        return (
            "failed",
            (
                f"the output is off native PyTorch's by {error:.2g} of its largest value"
                f" (limit {OUTPUT_LIMIT:g})"
            ),
        )
    return "ok", None
