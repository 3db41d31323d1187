"""Measure points from a program: what a script or notebook calls, with the records it gets back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from formfn_profile import store
from formfn_profile.execution import Study
from formfn_profile.measuring.launcher import Settings
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.plan import Plan
from formfn_profile.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from formfn_profile.plan import Point
    from formfn_profile.results import Record
    from perfcounters.caches import Processor

DEFAULT = Protocol(calls=10, seconds=0.3, warmup_seconds=3.0)


def measure(
    points: Sequence[Point],
    path: Path,
    *,
    counters: Literal["auto", "hardware", "simulated", "none"] = "auto",
    cache: str = "host,paper",
    isa: Literal["native", "avx2"] = "native",
    protocol: Protocol = DEFAULT,
    processes: int = 1,
    curve: bool = False,
) -> list[Record]:
    """
    Measure `points`, each record into the file at `path` before the next is begun, and return all of its
    records. What the file holds already is not measured again, so that a run cut short goes on.

    "auto" counts by hardware where it counts right on this machine, else simulates the caches named in
    `cache` ("host,paper,8M/16"). `isa` "avx2" holds the timed run to
    the instruction set of simulated ones. Timing is repeated in `processes` fresh processes. `curve` has
    LLCs of all sizes of 1 to 64 ways simulated too (`Record.curve`).

    Raises:
        ResultsError: The file cannot be read or written.
        MeasurementError: Something cannot be measured as asked. A point that fails is a record instead.
    """
    if counters == "auto":
        from perfcounters import trust

        counters = "hardware" if trust.llc().trusted else "simulated"
    processors: tuple[Processor, ...] = ()
    if counters == "simulated":
        from perfcounters import caches, simulator

        processors = caches.resolve(cache)
        simulator.ensure_built()
    plan = Plan(
        tuple(points),
        protocol,
        counters,
        processors,
        isa=isa,
        processes=processes,
        settings=Settings(curve=curve),
    )
    records = store.load(path) if path.exists() else []
    study = Study(plan, done={each.identity for each in records if each.status != "failed"})
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(store.Store(path))
        progress = stack.enter_context(contextlib.closing(Progress(len(study.left()))))
        for _, record in stack.enter_context(contextlib.closing(study.records(progress))):
            file.append(record)
            records.append(record)
    return records
