"""
Draw the paper's figures, precisions, a roofline, and misses against the size of the LLC from one machine's
records.

What the records do not hold is said and left out; asked for by name, it is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser, names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

FOLDER = Path("formfn_results")


def parser(prog: str = "python -m formfn_profile plot") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("records", type=Path, nargs="+", metavar="RECORDS", help="files of records, of one machine")
    add("-o", "--out", type=Path, default=FOLDER, metavar="FOLDER", help=f"where pictures go (./{FOLDER})")
    add(
        "--figures",
        type=names,
        metavar="NAME,NAME",
        help="figure1 to figure5, precision, roofline, misses, layers (all that the records hold)",
    )
    add("--format", choices=("png", "svg", "pdf"), default="png", help="(png)")
    add("--ceilings", type=Path, metavar="FILE.json", help="the roofline's, by formfn-profile roofline")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile plot") -> int:
    """Run the command and return its exit status: 0, 1 for what cannot be drawn, 2 for wrong options."""
    options = parser(prog).parse_args(argv)
    from formfn_profile.errors import FormfnError

    try:
        return _run(options)
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    from formfn_profile import plot
    from formfn_profile.ceilings import Ceilings
    from formfn_profile.errors import ResultsError, UnknownFigureError
    from formfn_profile.gather import gather

    for name in options.figures or ():
        if name not in plot.FIGURES:
            raise UnknownFigureError(name, plot.FIGURES)
    ceilings = Ceilings.load(options.ceilings) if options.ceilings else None
    records = gather(options.records)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(
            f"cannot write to {options.out}: {error.strerror}. Name another with --out"
        ) from None
    drawn = 0
    for name in options.figures or plot.FIGURES:
        try:
            figure = plot.FIGURES[name].draw(records, ceilings)
        except ResultsError as error:
            if options.figures:
                raise
            print(f"{name}: {error}")
            continue
        path = options.out / f"{name}.{options.format}"
        plot.save(figure, path)
        print(f"{name}: {path}")
        drawn += 1
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())
