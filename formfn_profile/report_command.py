"""
Write a report of one machine's records: machine, method, figures, the paper's findings, correlations, every
point, flags, and the records themselves.

It is one HTML page that needs no network; with --md it is Markdown, with its pictures in a folder beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parser(prog: str = "python -m formfn_profile report") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("records", type=Path, nargs="+", metavar="RECORDS", help="files of records, of one machine")
    add("-o", "--out", type=Path, metavar="FILE", help="the report (report.html, or report.md with --md)")
    add("--md", action="store_true", help="write Markdown instead of HTML")
    add("--ceilings", type=Path, metavar="FILE.json", help="the roofline's, by formfn-profile roofline")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile report") -> int:
    """Run the command and return its exit status: 0, 1 for what cannot be read or written, 2 for options."""
    options = parser(prog).parse_args(argv)
    from formfn_profile.ceilings import Ceilings
    from formfn_profile.errors import FormfnError
    from formfn_profile.gather import gather
    from formfn_profile.reporting import write_html, write_markdown

    out = options.out or Path("report.md" if options.md else "report.html")
    try:
        ceilings = Ceilings.load(options.ceilings) if options.ceilings else None
        write = write_markdown if options.md else write_html
        write(gather(options.records), out, ceilings)
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"Report: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
