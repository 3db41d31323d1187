"""One machine's records from one file or several, for what compares them with one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError
from formfn_profile.store import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from formfn_profile.results import Record

_SAME = ("cpu", "caches", "architecture")


def gather(paths: Iterable[Path]) -> list[Record]:
    """
    Return the records of these files, in the order they were measured.

    Raises:
        ResultsError: A file cannot be read, holds no record, or another machine's.
    """
    records: list[Record] = []
    for path in paths:
        found = load(path)
        if not found:
            raise ResultsError(
                f"{path} holds no record. Measure first: formfn-profile llc --pattern all --out {path}"
            )
        records += found
    return one_machine(records)


def one_machine(records: Iterable[Record]) -> list[Record]:
    """
    Return the records in the order they were measured.

    Raises:
        ResultsError: They are of several machines.
    """
    found = sorted(records, key=lambda record: record.time)
    machines = dict.fromkeys(tuple(str(record.machine.get(key)) for key in _SAME) for record in found)
    if len(machines) > 1:
        named = "; ".join(", ".join(machine) for machine in machines)
        raise ResultsError(
            f"these records are of {len(machines)} machines ({named}), and latencies of one say nothing of"
            " another. Give one machine's"
        )
    return found
