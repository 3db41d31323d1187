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

    from formfn_profile.correlate import Association, Coefficient, Correlation, Slopes

_MISSING = "-"


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
    from formfn_profile.correlate import compare_slopes, correlations, slopes
    from formfn_profile.errors import FormfnError
    from formfn_profile.gather import gather

    try:
        records = gather(options.records)
    except FormfnError as error:
        print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    found, blocks = correlations(records), slopes(records)
    if options.json:
        plain = {
            "correlations": [dataclasses.asdict(each) for each in found],
            "slopes": [dataclasses.asdict(each) for each in blocks],
        }
        print(json.dumps(_finite(plain), indent=1, allow_nan=False))
        return 0
    for each in found:
        print("\n".join([*correlation_lines(each), ""]))
    print("\n".join(slope_lines(blocks)))
    for backend, across in compare_slopes(blocks).items():
        print(f"\nFor a block, over patterns and widths, {backend}:")
        print("\n".join(f"  {association_line(each)}" for each in across))
    return 0


def correlation_lines(found: Correlation) -> list[str]:
    """Return what is known of one backend, a line each."""
    where = ", ".join(f"{name} {value}" for name, value in found.fixed.items() if value is not None)
    size = f"{found.points} points ({len(found.patterns)} patterns x {len(found.widths)} widths)"
    lines = [
        f"{found.backend} {found.precision}: {size} at {where}; misses: {found.source}",
        *(f"  {association_line(each)}" for each in found.associations),
        f"  latency and LLC misses given FLOPs (partial, logs): {coefficient_text(found.partial)}",
    ]
    if found.fit:
        fit = found.fit
        lines.append(
            f"  latency = {fit.a * 1e9:.3g} ns x FLOPs + {fit.b * 1e9:.3g} ns x misses: R2 {fit.r2:.3f},"
            f" FLOPs alone {fit.r2_first:.3f} (n {fit.n}, VIF {fit.vif:.2f})"
        )
    else:
        lines.append(f"  no fit of latency: {found.refused}")
    return lines + [f"  left out: {reason}" for reason in found.left_out]


def association_line(found: Association) -> str:
    """Return both coefficients of two quantities."""
    return (
        f"{found.x} and {found.y}: Spearman {coefficient_text(found.spearman)}, Pearson of logs"
        f" {coefficient_text(found.pearson_log)} (n {found.n}, {found.patterns} patterns)"
    )


def coefficient_text(found: Coefficient) -> str:
    """Return a coefficient and its interval."""
    if found.value is None:
        return "none"
    if found.interval is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} ({found.interval[0]:.2f} to {found.interval[1]:.2f})"


def slope_lines(found: Sequence[Slopes]) -> list[str]:
    """Return a table of what one block adds."""
    if not found:
        return ["No pattern was measured at two depths: no slopes."]
    lines = [["pattern", "backend", "width", "batch", "us a block", "misses", "MFLOPs", "instructions"]]
    lines += [
        [
            each.pattern,
            f"{each.backend} {each.precision}",
            str(each.width or _MISSING),
            str(each.batch),
            _number(each.latency_s, 1e6),
            _number(each.misses),
            _number(each.flops, 1e-6),
            _number(each.instructions),
        ]
        for each in found
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in lines
    ]
    return [f"What one block adds ({found[0].label}):", *table]


def _number(value: float | None, unit: float = 1.0) -> str:
    return _MISSING if value is None else f"{value * unit:,.4g}"


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
