"""
Measure the two ceilings of a roofline in some seconds: peak FLOP/s by matrix products and
convolutions, and bytes read from memory a second by summing a buffer that the cache cannot hold.

The file goes to `formfn-profile plot --ceilings` and `formfn-profile report --ceilings`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from formfn_profile.options import Parser, integer, seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parser(prog: str = "python -m formfn_profile roofline") -> argparse.ArgumentParser:
    """Return the command's options."""
    made = Parser(prog=prog, description=__doc__)
    add = made.add_argument
    add("-o", "--out", type=Path, metavar="FILE.json", help="where the ceilings go (printed only)")
    add("--threads", type=integer(1), default=1, metavar="N", help="threads (1)")
    add("--seconds", type=seconds, default=1.0, metavar="S", help="time for each benchmark (1)")
    return made


def main(argv: Sequence[str] | None = None, prog: str = "python -m formfn_profile roofline") -> int:
    """Run the command and return its exit status: 0, 1 for what cannot be measured, 2 for wrong options."""
    options = parser(prog).parse_args(argv)
    from formfn_profile.errors import FormfnError
    from formfn_profile.measuring.roofline import measure

    try:
        found = measure(options.threads, options.seconds)
        if options.out:
            found.save(options.out)
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"Computing: {found.peak_flops / 1e9:.1f} GFLOP/s")
    print(f"Reading memory: {found.bandwidth / 1e9:.1f} GB/s")
    print(f"They meet at {found.ridge:.2f} FLOPs a byte: below it memory is the limit, above it computing.")
    print(f"With {found.threads} thread{'s' if found.threads > 1 else ''}: {found.how}.")
    if options.out:
        print(f"Ceilings: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
