"""
Check the findings of "Does Form Follow Function?" (TinyML 2021) on one machine's records: for each a verdict
(holds, doesn't, inconclusive, not measured), the figures it rests on, and the paper's beside them.

A finding that does not hold is a result: the exit status says only whether the records could be read.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from formfn_profile.findings import Advice, Result

_COLUMNS = 110
_SHOWN = 6


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
    from formfn_profile.errors import FormfnError
    from formfn_profile.findings import advise, check
    from formfn_profile.gather import gather

    try:
        results = check(gather(options.records))
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([each.to_dict() for each in results], indent=1, allow_nan=False))
    else:
        print(render(results, advise(results)))
    return 0


def render(results: Sequence[Result], advice: Sequence[Advice]) -> str:
    """Return the verdicts as text, the paper's figures beside this machine's, and the advice under them."""
    lines: list[str] = []
    for each in results:
        lines += [*_wrap(f"{each.finding.verdict.upper()}: {each.claim.statement}.", ""), *_under(each), ""]
    lines.append("The paper's advice, as far as these records support it:")
    for one in advice:
        lines += _wrap(f"{one.support}: {one.text}", "  ")
    verdicts = [each.finding.verdict for each in results]
    counts = ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts))
    return "\n".join([*lines, "", f"{len(results)} findings: {counts}."])


def _under(result: Result) -> list[str]:
    claim, finding = result.claim, result.finding
    lines = _wrap(f"paper ({claim.where}): {claim.paper}", "    ")
    if finding.figures:
        shown = "; ".join(str(each) for each in finding.figures[:_SHOWN])
        more = len(finding.figures) - _SHOWN
        lines += _wrap(f"here: {shown}" + (f"; and {more} more (--json)" if more > 0 else ""), "    ")
    if finding.remark:
        lines += _wrap(finding.remark, "    ")
    return [*lines, *_wrap(f"[{claim.name}] {claim.method}", "    ")]


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS, initial_indent=indent, subsequent_indent=indent + "  ")


if __name__ == "__main__":
    sys.exit(main())
