"""
Correlate FLOPs, LLC misses, instructions and latency of one machine's records, for each backend.

Coefficients are over patterns x widths, with intervals from drawing whole patterns; a depth series gets
slopes for a block only, since over depth everything is proportional.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parser(prog: str = "python -m formfn_profile correlate") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("records", type=Path, nargs="+", metavar="RECORDS", help="files of records, of one machine")
    add("--json", action="store_true", help="print coefficients and slopes as JSON instead of text")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile correlate") -> int:
    """Run the command and return its exit status: 0, 1 for unreadable records, 2 for wrong options."""
    options = parser(prog).parse_args(argv)
    from formfn_profile.display import Correlations
    from formfn_profile.errors import FormfnError
    from formfn_profile.gather import gather
    from perfcounters._terminal import columns

    try:
        found = Correlations.of(gather(options.records))
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if options.json:
        plain = {
            "correlations": [dataclasses.asdict(each) for each in found.backends],
            "slopes": [dataclasses.asdict(each) for each in found.slopes],
        }
        print(json.dumps(_finite(plain), indent=1, allow_nan=False))
    else:
        print(found.text(columns(sys.stdout)))
    return 0


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
