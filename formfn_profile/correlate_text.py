"""Correlations in words: coefficients with their intervals, the fit, and what one block adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.table import quantity
from formfn_profile.tabular import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from formfn_profile.correlation import Association, Coefficient, Correlation, Slopes

_MISSING = "-"
SLOPE_COLUMNS = ("pattern", "backend", "width", "batch", "us a block", "misses", "MFLOPs", "instructions")


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


def slope_lines(found: Sequence[Slopes], width: int | None) -> list[str]:
    """Return a table of what one block adds, as lines, folded where it is wider than `width`."""
    if not found:
        return ["No pattern was measured at two depths: no slopes."]
    return slope_table(found).text(width).splitlines()


def slope_table(found: Sequence[Slopes]) -> Table:
    """Return a table of what one block adds."""
    title = f"What one block adds ({found[0].label}):"
    cells = [slope_cells(each) for each in found]
    return Table(title, SLOPE_COLUMNS, cells, left=SLOPE_COLUMNS[:2], keys=SLOPE_COLUMNS[:4])


def slope_cells(found: Slopes) -> list[str]:
    """Return one pattern's slopes under `SLOPE_COLUMNS`."""
    return [
        found.pattern,
        f"{found.backend} {found.precision}",
        str(found.width or _MISSING),
        str(found.batch),
        _number(found.latency_s, 1e6),
        quantity(found.misses),
        _number(found.flops, 1e-6),
        quantity(found.instructions),
    ]


def slope_keys(found: Slopes) -> list[float | str | None]:
    """Return what the cells of `slope_cells` sort by."""
    return [
        found.pattern,
        f"{found.backend} {found.precision}",
        found.width,
        found.batch,
        found.latency_s,
        found.misses,
        found.flops,
        found.instructions,
    ]


def _number(value: float | None, unit: float = 1.0) -> str:
    if value is None:
        return _MISSING
    return f"{value * unit:,.0f}" if abs(value * unit) >= 1000 else f"{value * unit:.3g}"
