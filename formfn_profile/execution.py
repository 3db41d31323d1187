"""
From a plan to records: prepare each network, time it natively, count it, compare its output, build the
record.
"""

from __future__ import annotations

import datetime as dt
import itertools
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from formfn_profile.brief import brief
from formfn_profile.fields import wrong_field
from formfn_profile.measuring.crew import Crew, Outcome
from formfn_profile.measuring.machine import machine, software_of, usable_cpus
from formfn_profile.measuring.messages import Job
from formfn_profile.preparation import REFERENCE, Form, Prepared, relative_error
from formfn_profile.preparers import Preparers
from formfn_profile.results import Record, Status, count_from_dict
from formfn_profile.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from formfn_profile.flops import FlopCount
    from formfn_profile.plan import Plan, Point, Task
    from formfn_profile.preparation import Spec
    from formfn_profile.progress import Progress
    from formfn_profile.results import PointKey

OUTPUT_LIMITS = {"f32": 1e-3, "f16": 2e-2, "bf16": 0.3, "int8": 1.0}
"""
Error of an output, of its largest value, that rounding in this precision does not explain any more. Seeded
weights amplify it: ten grouped blocks are off by 0.26 in PyTorch's bf16 and by 0.9 in int8. No output at all
would be off by 1, an unrelated one by more.
"""

_OWN_FIELDS = (
    *("device", "memory_format", "isa", "kernels", "operations", "operation_macs", "compile_s", "versions"),
)


def new_run() -> str:
    """Return what one run's records are known by."""
    return uuid.uuid4().hex


def record_of(
    task: Task,
    plan: Plan,
    run_id: str,
    machine: Mapping[str, Any],
    *,
    status: Status = "ok",
    **measured: Any,
) -> Record:
    """Return the record of a task of a plan on a machine, with what was measured."""
    return Record(
        status=status,
        run_id=run_id,
        time=dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds"),
        machine=machine,
        **task.fields(plan),
        **measured,
    )


@dataclass
class Study:
    """
    A plan being carried out on this machine. `check` is called between steps and while workers work; what
    it raises ends the study. What `done` holds (`Record.identity` of earlier records) is not measured again,
    and of the rest only what is `wanted`.
    """

    plan: Plan
    check: Callable[[], None] = lambda: None
    done: Collection[PointKey] = frozenset()
    run_id: str = field(default_factory=new_run)
    wanted: Callable[[Task], bool] = lambda _: True

    def __post_init__(self) -> None:
        here = machine()
        self._machines: dict[str | None, dict[str, Any]] = {None: here}
        if self.plan.against:
            self._machines[self.plan.against] = here | software_of(self.plan.against)

    @cached_property
    def left(self) -> list[Task]:
        """The tasks of the plan that are wanted and not done."""
        wanted = filter(self.wanted, self.plan.tasks())
        return [task for task in wanted if self._record(task).identity not in self.done]

    def ready(self, progress: Progress) -> None:
        """
        Build the simulator if it is wanted.

        Raises:
            PerfCountersError: It cannot be built.
        """
        if any(task.phase.launcher.processors for task in self.left):
            from perfcounters import simulator

            simulator.ensure_built(progress=progress.note)

    def records(self, progress: Progress) -> Generator[tuple[Task, Record]]:
        """
        Measure everything and yield each record, with the task it is of, as soon as there is one.

        Timed points come first, one at a time, a depth's backends one after the other, and the whole round
        again in fresh processes; then what the simulator counts, side by side. What fails is a record with
        the reason. Closing the iterator ends every process it started.
        """
        self._progress = progress
        left = self.left
        for task in left:
            self._progress.estimate.plan((task.phase.name, task.point.backend), task.point.size)
        with (
            scratch() as folder,
            Preparers(folder, self.plan.time_limit) as preparers,
        ):
            for (phase, _), tasks in itertools.groupby(left, key=lambda task: (task.phase, task.process)):

                def said(job: Job, stage: str) -> None:
                    self._progress.say(str(left[job.id].point), stage)

                with Crew(phase.launcher, said, self.check, self.plan.time_limit) as crew:
                    yield from self._round(list(tasks), left, crew, preparers)

    def _round(
        self, tasks: Sequence[Task], left: Sequence[Task], crew: Crew, preparers: Preparers
    ) -> Iterator[tuple[Task, Record]]:
        first = next(number for number, task in enumerate(left) if task is tasks[0])
        for batch in _batches(list(enumerate(tasks, first))):
            self._progress.say(str(batch[0][1].point), "preparing")
            preparers.ahead([(task.point.spec, _form(task.point)) for _, task in batch], self.check)
            jobs: list[Job] = []
            for number, task in batch:
                self.check()
                prepared = preparers.prepare(task.point.spec, _form(task.point))
                job = _job(task, number, prepared.path, preparers.folder, self.plan.layers)
                if prepared.path is None:
                    outcome = Outcome(job, None, prepared.reason, skipped=prepared.unavailable)
                    yield self._finish(task, prepared, outcome, 0.0)
                else:
                    jobs.append(job)
            yield from self._carry_out(jobs, left, crew, preparers)

    def _carry_out(
        self, jobs: Sequence[Job], left: Sequence[Task], crew: Crew, preparers: Preparers
    ) -> Iterator[tuple[Task, Record]]:
        if not jobs:
            return
        phase = left[jobs[0].id].phase
        since = {job.backend: time.monotonic() for job in jobs}
        for outcome in crew.run(jobs, phase.slots, phase.alike):
            task = left[outcome.job.id]
            point = task.point
            now = time.monotonic()
            seconds, since[point.backend] = now - since[point.backend], now
            yield self._finish(task, preparers.prepare(point.spec, _form(point)), outcome, seconds)

    def _finish(
        self, task: Task, prepared: Prepared, outcome: Outcome, seconds: float
    ) -> tuple[Task, Record]:
        point, name = task.point, task.phase.name
        try:
            record = _checked(self._record(task, **_measured(point, prepared, outcome)))
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            said = f"the worker's answer is no result: {type(error).__name__}: {error}"
            record = self._record(task, **_measured(point, prepared, Outcome(outcome.job, None, said)))
        self._progress.estimate.finish((name, point.backend), point.size, seconds)
        ended = name if record.status == "ok" else f"{name}: {brief(record.reason)}"
        self._progress.done(str(point), ended, failed=record.status == "failed")
        return task, record

    def _record(self, task: Task, **measured: Any) -> Record:
        return record_of(task, self.plan, self.run_id, self._machines[task.phase.interpreter], **measured)


def _form(point: Point) -> Form:
    return Form(point.backend, quantized=point.precision == "int8")


def _batches(tasks: Sequence[tuple[int, Task]]) -> Iterator[list[tuple[int, Task]]]:
    """
    What is prepared at once: everything where points run side by side; where they are timed, as many
    networks as there are processes to prepare them, so that the first result comes soon.
    """
    networks = len(tasks) if tasks[0][1].phase.slots > 1 else usable_cpus()
    batch: list[tuple[int, Task]] = []
    specs: set[Spec] = set()
    for number, task in tasks:
        if task.point.spec not in specs and len(specs) == networks:
            yield batch
            batch, specs = [], set()
        specs.add(task.point.spec)
        batch.append((number, task))
    yield batch


def _checked(record: Record) -> Record:
    """A worker of another version (`--against`) may answer what this one does not expect."""
    for each in (record, *record.counts):
        if name := wrong_field(each):
            raise TypeError(f"{name} is {getattr(each, name)!r}")
    return record


def _measured(point: Point, prepared: Prepared, outcome: Outcome) -> dict[str, Any]:
    """What a record says of what came out."""
    result = outcome.result or {}
    facts: Mapping[str, Any] = result.get("facts", {})
    error, finite = None, True
    if outcome.result is not None:
        output = np.load(outcome.job.output)
        finite = bool(np.isfinite(output).all())
        if prepared.reference is not None:
            error = relative_error(output, prepared.reference)
    status, reason = _verdict(point, outcome, facts, error, finite=finite)
    work = prepared.work
    return {
        "status": status,
        "reason": reason,
        "macs": work and work.macs,
        "flops": work and work.flops,
        "parameters": work and work.parameters,
        "parameter_bytes": work and work.parameter_bytes,
        "activation_bytes": work and work.activation_bytes,
        "uncounted": dict(work.uncounted) if work else {},
        "prepare_s": prepared.seconds,
        "quantize_s": prepared.quantize_seconds,
        "load_s": result.get("load_s"),
        "first_s": result.get("first_s"),
        "warmup_s": tuple(result.get("warmup_s", ())),
        "settled": result.get("settled"),
        "latency_s": tuple(result.get("latency_s", ())),
        "end_to_end_s": tuple(result.get("end_to_end_s", ())),
        "counts": tuple(count_from_dict(each) for each in result.get("counts", ())),
        "curve": tuple(result.get("curve", ())),
        "layers": tuple(_with_macs(layer, work) for layer in result.get("layers", ())),
        "output_error": error if error is None or np.isfinite(error) else None,
        "output_reference": None if error is None else REFERENCE,
        "conditions": result.get("conditions", {}),
        "properties": {key: value for key, value in facts.items() if key not in _OWN_FIELDS},
        **{key: facts[key] for key in _OWN_FIELDS if key in facts},
    }


def _with_macs(layer: Mapping[str, Any], work: FlopCount | None) -> dict[str, Any]:
    """Add the MACs of the modules that a layer is made of, where it does not tell its own."""
    if "macs" in layer:
        return dict(layer)
    known = work.by_module if work else {}
    modules = [known[path] for path in layer["modules"] if path in known]
    return {**layer, "macs": sum(module.macs for module in modules) if modules else None}


def _job(task: Task, number: int, path: Path | None, folder: Path, layers: int) -> Job:
    return Job(
        id=number,
        backend=task.point.backend,
        prepared=str(path or ""),
        threads=task.point.threads,
        output=str(folder / f"output-{number}.npy"),
        precision=task.point.precision,
        timing=task.phase.timing,
        counting=task.phase.counting,
        layers=layers,
    )


def _verdict(
    point: Point, outcome: Outcome, facts: Mapping[str, Any], error: float | None, *, finite: bool
) -> tuple[Status, str | None]:
    """A measurement stands only if what ran is what was asked for, and computed what it should."""
    if outcome.result is None:
        return "skipped" if outcome.skipped else "failed", outcome.reason or "the worker gave no result"
    for name, asked in (("precision", point.precision), ("threads", point.threads)):
        if facts.get(name) not in (None, asked):
            return "failed", f"asked for {name} {asked}, but {point.backend} ran with {facts[name]}"
    if not finite:
        return "failed", "the output holds NaN or infinite numbers: nothing tells that it is the network's"
    limit = OUTPUT_LIMITS[point.precision]
    if error is not None and not error < limit:
        said = f"the output is off native PyTorch's by {error:.2g} of its largest value (limit {limit:g})"
        return "failed", said
    return "ok", None
