"""
Hartigan's dip: how far samples are from any distribution with one mode.

The dip is the largest distance between the samples' distribution function and the nearest one that is
convex up to some point and concave from there (J. A. Hartigan and P. M. Hartigan, The Dip Test of
Unimodality, Annals of Statistics 13, 1985; the algorithm is that of their section 5).
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = list[tuple[float, float]]

# What sqrt(n) times the dip exceeds for fewer than 1 of 100 samples of a uniform distribution, the one-mode
# distribution that looks most like two: 0.51 for n = 10, 0.59 for 100, 0.619 for 3,000 (20,000 samples each).
CRITICAL = 0.62


def has_modes(samples: Sequence[float]) -> bool:
    """Tell whether more than one mode is certain at the 1% level; never below 10 samples."""
    return len(samples) >= 10 and math.sqrt(len(samples)) * dip(samples) > CRITICAL


def dip(samples: Sequence[float]) -> float:
    """Return the dip, a probability between 1 / (2 n) and 1/4; 0 where all samples are equal."""
    values = sorted(samples)
    n = len(values)
    places = sorted(set(values))
    if len(places) < 2:
        return 0.0
    below = [(x, bisect.bisect_left(values, x) / n) for x in places]
    above = [(x, bisect.bisect_right(values, x) / n) for x in places]
    low, high = 0, len(places) - 1
    largest = 1 / n
    while True:
        convex = _hull(below[low : high + 1], 1)
        concave = _hull(above[low : high + 1], -1)
        gaps = [(_at(concave, x) - y, x, True) for x, y in convex]
        gaps += [(y - _at(convex, x), x, False) for x, y in concave]
        gap, place, on_convex = max(gaps, key=lambda one: one[0])
        if gap <= largest:
            return largest / 2
        if on_convex:
            left, right = place, next(x for x, _ in concave if x >= place)
        else:
            left, right = max(x for x, _ in convex if x <= place), place
        new_low, new_high = bisect.bisect_left(places, left), bisect.bisect_left(places, right)
        for i in range(low, new_low):
            largest = max(largest, above[i][1] - _at(convex, places[i]))
        for i in range(new_high + 1, high + 1):
            largest = max(largest, _at(concave, places[i]) - below[i][1])
        if (new_low, new_high) == (low, high):
            return largest / 2
        low, high = new_low, new_high


def _hull(points: Points, sign: int) -> Points:
    """Return the corners of the greatest convex minorant (`sign` 1) or least concave majorant (-1)."""
    corners: Points = []
    for x, y in points:
        while len(corners) > 1:
            (x0, y0), (x1, y1) = corners[-2:]
            if sign * ((y1 - y0) * (x - x1) - (y - y1) * (x1 - x0)) < 0:
                break
            corners.pop()
        corners.append((x, y))
    return corners


def _at(corners: Points, x: float) -> float:
    """Return the height of the broken line through `corners` at `x`."""
    i = bisect.bisect_left(corners, (x,))
    if i < len(corners) and corners[i][0] == x:
        return corners[i][1]
    (x0, y0), (x1, y1) = corners[i - 1], corners[i]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
