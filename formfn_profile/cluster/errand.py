"""What a worker on any machine is given: one task of a plan, measured there as a study of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from formfn_profile.errors import MeasurementError
from formfn_profile.execution import Study
from formfn_profile.measuring.machine import machine, software
from formfn_profile.progress import Progress
from formfn_profile.results import machine_keys

if TYPE_CHECKING:
    from formfn_profile.plan import Plan, Task

Versions: TypeAlias = Mapping[str, str | None]
Work: TypeAlias = "Callable[[Errand, Callable[[], None]], dict[str, Any]]"
"""What a worker does with an errand; the function that it is given raises once the errand is given up."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Errand:
    """
    One task, the `number`th of those that are left, in a plan of its point alone; `versions` are those that
    the worker must have.
    """

    number: int
    plan: Plan
    phase: str
    process: int
    tied: bool
    run_id: str
    versions: Versions

    @classmethod
    def of(cls, task: Task, number: int, plan: Plan, run_id: str, versions: Versions) -> Errand:
        """Return the errand that does a task of a plan."""
        names = machine_keys(task.point.backend, task.point.precision)
        return cls(
            number=number,
            plan=replace(plan, points=(task.point,)),
            phase=task.phase.name,
            process=task.process,
            tied=task.phase.tied,
            run_id=run_id,
            versions={name: versions[name] for name in names if name in versions},
        )


@dataclass(frozen=True)
class Description:
    """A worker's machine as records have it, and what tells that two workers are on the same: `boot`."""

    machine: Mapping[str, Any]
    boot: str

    @property
    def versions(self) -> dict[str, str | None]:
        """Versions of what measures and is measured there."""
        return {name: self.machine.get(name) for name in software()}


def describe() -> Description:
    """Return what this worker is."""
    return Description(machine(), _BOOT.read_text(encoding="ascii").strip())


def measure(errand: Errand, check: Callable[[], None]) -> dict[str, Any]:
    """
    Do an errand here and return its record, as `Record.to_dict` gives it.

    Raises:
        MeasurementError: This worker has other versions, or cannot measure at all.
        PerfCountersError: The simulator cannot be had here.
    """
    if said := other_versions(software(), errand.versions):
        raise MeasurementError(said)

    def wanted(task: Task) -> bool:
        return (task.phase.name, task.process) == (errand.phase, errand.process)

    study = Study(errand.plan, check, run_id=errand.run_id, wanted=wanted)
    progress = Progress(1, quiet=True)
    study.ready(progress)
    with contextlib.closing(study.records(progress)) as found:
        _, record = next(found)
    return record.to_dict()


def other_versions(found: Versions, wanted: Versions) -> str | None:
    """Say how a worker's versions differ from those that are wanted; None where they do not."""
    differ = [
        f"{name} {found.get(name) or 'none'} instead of {version or 'none'}"
        for name, version in wanted.items()
        if found.get(name) != version
    ]
    return f"it has {', '.join(differ)}. Install the same versions on every worker" if differ else None
