"""
Export a file of records for other tools.

`--pyperf` writes a suite of pyperf: a benchmark a point, a run a process. Two of them are what `python
-m pyperf compare_to A.json B.json` compares. `--csv` writes a line a record, with statistics in place of
samples.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser, integer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parser(prog: str = "python -m formfn_profile export") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    made.add_argument("records", type=Path, metavar="RECORDS.jsonl", help="what a study wrote")
    made.add_argument("--pyperf", type=Path, metavar="FILE.json", help="write a suite of pyperf")
    made.add_argument(
        "--calls",
        type=_calls,
        default=50,
        metavar="N",
        help="with --pyperf: the first N calls of each process, or all; for a test of significance pyperf"
        " needs as many on both sides (50)",
    )
    made.add_argument("--csv", type=Path, metavar="FILE.csv", help="write comma-separated values")
    return made


def _calls(text: str) -> int | None:
    return None if text == "all" else integer(1)(text)


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile export") -> int:
    """Run the command and return its exit status: 0, 1 for a fault, 2 for wrong options."""
    reader = parser(prog)
    options = reader.parse_args(argv)
    if options.pyperf is None and options.csv is None:
        reader.error("say what to write, with --pyperf FILE.json or --csv FILE.csv")
    from formfn_profile.errors import FormfnError

    try:
        _run(options)
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    from formfn_profile import export
    from formfn_profile.errors import ResultsError
    from formfn_profile.store import load

    records = load(options.records)
    for path in filter(None, (options.pyperf, options.csv)):
        if path.exists() and path.samefile(options.records):
            raise ResultsError(f"{path} holds the records themselves. Name another file")
    try:
        if options.pyperf:
            export.to_pyperf(records, options.calls).dump(str(options.pyperf), replace=True)
            print(f"Suite of pyperf: {options.pyperf}")
        if options.csv:
            with options.csv.open("w", newline="", encoding="utf-8") as file:
                export.write_csv(records, file)
            print(f"Table: {options.csv}")
    except OSError as error:
        raise ResultsError(
            f"cannot write {error.filename}: {error.strerror}. Name a file you may write"
        ) from None
