"""One machine's records from one file or several, for what compares them with one another."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError
from formfn_profile.results import standing
from formfn_profile.store import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from formfn_profile.results import Record

_SAME = ("cpu", "caches", "architecture")


def gather(paths: Iterable[Path]) -> list[Record]:
    """
    Return the records of these files, in the order they were measured: those of one file in its order,
    whatever the clock said (it may have been set back), several files by their times. Failures of what was
    measured at another time are left out.

    Raises:
        ResultsError: A file cannot be read, holds no record, or another machine's.
    """
    records: list[Record] = []
    times: list[str] = []
    for path in paths:
        found = load(path)
        if not found:
            raise ResultsError(
                f"{path} holds no record. Measure first: formfn-profile llc --pattern all --out {path}"
            )
        records += found
        times += itertools.accumulate((record.time for record in found), max)
    ordered = [record for _, record in sorted(zip(times, records, strict=True), key=lambda pair: pair[0])]
    _refuse_several_machines(ordered)
    return standing(ordered)


def one_machine(records: Iterable[Record]) -> list[Record]:
    """
    Return the records in the order they were measured.

    Raises:
        ResultsError: They are of several machines.
    """
    found = sorted(records, key=lambda record: record.time)
    _refuse_several_machines(found)
    return found


def _refuse_several_machines(records: Iterable[Record]) -> None:
    machines = dict.fromkeys(
        tuple(str(record.machine.get(key)) for key in _SAME)
        for record in records
        if record.launcher != "llcsim"  # these say nothing of the machine that they ran on
    )
    if len(machines) > 1:
        named = "; ".join(", ".join(machine) for machine in machines)
        raise ResultsError(
            f"these records are of {len(machines)} machines ({named}), and latencies of one say nothing of"
            " another. Give one machine's"
        )
