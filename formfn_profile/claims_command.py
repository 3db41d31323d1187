"""
Check the findings of "Does Form Follow Function?" (TinyML 2021) on one machine's records: for each a verdict
(holds, doesn't, inconclusive, not measured), the figures it rests on, and the paper's beside them.

A finding that does not hold is a result: the exit status says only whether the records could be read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parser(prog: str = "python -m formfn_profile claims") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("records", type=Path, nargs="+", metavar="RECORDS", help="files of records, of one machine")
    add("--json", action="store_true", help="print the verdicts as JSON instead of text")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile claims") -> int:
    """Run the command and return its exit status: 0, 1 for unreadable records, 2 for wrong options."""
    options = parser(prog).parse_args(argv)
    from formfn_profile import claims_text
    from formfn_profile.errors import FormfnError
    from formfn_profile.findings import advise, check
    from formfn_profile.gather import gather
    from perfcounters._terminal import columns

    try:
        results = check(gather(options.records))
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([each.to_dict() for each in results], indent=1, allow_nan=False))
    else:
        print(claims_text.render(results, advise(results), columns(sys.stdout)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
