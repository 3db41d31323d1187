"""
What the tests of clusters share, as a module that workers import too: a stand-in for measuring, and plans
carried out with it.

A Dask worker that preloads this is on a machine of its own, as BOOT says, and has VERSION of the package.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path

from formfn_profile import execution, store
from formfn_profile.cluster import errand as errands
from formfn_profile.errors import MeasurementError
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.patterns import PatternSpec
from formfn_profile.plan import Plan, Point
from formfn_profile.progress import Progress
from formfn_profile.recording import recorded
from formfn_profile.store import Store
from perfcounters import caches

FOLDER, NAME, BOOT, VERSION = (f"FORMFN_TEST_{each}" for each in ("FOLDER", "NAME", "BOOT", "VERSION"))


def dask_setup(worker):
    """Called by Dask when the worker begins."""
    errands._BOOT = Path(os.environ[BOOT])
    real = errands.machine
    if version := os.environ.get(VERSION):
        errands.machine = lambda: {**real(), "formfn_profile": version}


def path(kind, name):
    return Path(os.environ[FOLDER]) / f"{kind}-{name}"


def work(errand, check):
    """Give a record of when it was done by whom; wait while the test holds this worker."""
    name = os.environ.get(NAME, "here")
    begun = time.monotonic()
    path("begun", name).touch()
    if not errand.tied and path("refuses", name).exists():
        raise MeasurementError("no simulator is here")
    try:
        while path("hold", name).exists():
            check()
            time.sleep(0.01)
    except MeasurementError:
        path("stopped", name).touch()
        raise
    if path("dies", name).exists():
        os._exit(9)
    time.sleep(0.02)  # long enough to meet another that runs beside it
    task = next(
        task
        for task in errand.plan.tasks()
        if (task.phase.name, task.process) == (errand.phase, errand.process)
    )
    told = {"worker": name, "begun": begun, "ended": time.monotonic()}
    machine = errands.describe().machine
    return execution.record_of(task, errand.plan, errand.run_id, machine, conditions=told).to_dict()


def plan_of(points, *, simulated=True, processes=1):
    made = tuple(Point(PatternSpec("standard", depth, 8, 8), "torch") for depth in range(1, points + 1))
    counted = ("simulated", caches.resolve("paper")) if simulated else ("none", ())
    return Plan(made, Protocol(calls=2, seconds=0, warmup_seconds=0.1), *counted, processes=processes)


class Listening(Progress):
    """Keeps what is noted, on no terminal."""

    def __init__(self):
        super().__init__(0, quiet=True)
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def carried_out(pool, plan, out, *, check=lambda: None, progress=None):
    """Have a plan done as `study` does, each record going to the file."""
    earlier = store.load(out) if out.exists() else []
    with Store(out) as kept, contextlib.closing(progress or Listening()) as listening:
        study = pool.study(plan, earlier, check)
        with contextlib.closing(recorded(study, {None: kept}, "", listening)) as found:
            return [record for _, record in found]


def overlapping(records):
    """Return the pairs that were measured at the same time."""
    ordered = sorted(records, key=lambda record: record.conditions["begun"])
    return [(a, b) for a, b in itertools.pairwise(ordered) if a.conditions["ended"] > b.conditions["begun"]]


def machine_of(cpu, torch="2.13"):
    """Return a made-up machine."""
    return {"cpu": cpu, "cpus": 4, "torch": torch, "openvino": "2026.4", "formfn_profile": "0.1"}
