"""Every combination of what a study varies, as points in the order in which they are measured."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from formfn_profile import patterns
from formfn_profile.errors import MeasurementError
from formfn_profile.patterns import PatternSpec
from formfn_profile.plan import Point

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from formfn_profile.preparation import Spec

PRECISIONS = ("f32", "f16", "bf16", "int8")


def pattern_specs(
    names: Sequence[str],
    *,
    depths: Sequence[int],
    widths: Sequence[int],
    resolutions: Sequence[int],
    batches: Sequence[int],
    expansion: int | None = None,
) -> list[PatternSpec]:
    """
    Return the networks of these patterns; ("all",) is every pattern.

    Raises:
        UnknownPatternError: There is no such pattern.
        PatternError: A pattern cannot be built so.
    """
    chosen = tuple(patterns.PATTERNS) if tuple(names) == ("all",) else tuple(names)
    return [
        PatternSpec(patterns.get(name).name, depth, width, resolution, batch, expansion)
        for name, batch, resolution, width, depth in product(chosen, batches, resolutions, widths, depths)
    ]


def points(
    specs: Iterable[Spec],
    backends: Sequence[str],
    *,
    threads: Sequence[int] = (1,),
    precisions: Sequence[str] = ("f32",),
) -> tuple[Point, ...]:
    """
    Return the points; the backends of a network follow one another, so that drift hits all alike.

    Raises:
        MeasurementError: There is no such precision.
    """
    if unknown := [name for name in precisions if name not in PRECISIONS]:
        raise MeasurementError(f"there is no precision {unknown[0]!r}; there is: {', '.join(PRECISIONS)}")
    return tuple(
        Point(spec, backend, count, precision)
        for spec in specs
        for count, precision, backend in product(threads, precisions, backends)
    )
