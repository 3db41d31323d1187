"""
What can go wrong, by what failed. Each message says what was tried, what was seen, and the remedy.

`FormfnError` is the root and never raised itself. All of these survive pickling, attributes included.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BackendError",
    "FormfnError",
    "MeasurementError",
    "NetworkError",
    "PatternError",
    "ResultsError",
    "UnavailableError",
    "UnknownBackendError",
    "UnknownFigureError",
    "UnknownNameError",
    "UnknownNetworkError",
    "UnknownPatternError",
]


class FormfnError(Exception):
    """Whatever this package refuses or could not do."""


class PatternError(FormfnError):
    """A pattern cannot be built with these parameters."""


class UnknownNameError(FormfnError):
    """
    A registry holds nothing of this name.

    Attributes:
        name: What was asked for.
        known: What there is.
    """

    kind = "entry"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(name, self.known)

    def __str__(self) -> str:
        """Return the message: nearest match first, then all there is."""
        near = difflib.get_close_matches(self.name.lower(), self.known, n=1)
        guess = f" Did you mean {near[0]}?" if near else ""
        return f"there is no {self.kind} {self.name!r}.{guess} There is: {', '.join(self.known)}"


class UnknownPatternError(UnknownNameError):
    """There is no pattern of this name."""

    kind = "pattern"


class UnknownBackendError(UnknownNameError):
    """There is no backend of this name."""

    kind = "backend"


class UnknownNetworkError(UnknownNameError):
    """There is no named network of this name."""

    kind = "network"


class UnknownFigureError(UnknownNameError):
    """There is no figure of this name."""

    kind = "figure"


class NetworkError(FormfnError):
    """A network cannot be built."""


class BackendError(FormfnError):
    """A backend refuses or could not do what was asked."""


class UnavailableError(BackendError):
    """A backend runs no such model, or this machine has no such device: such a point is skipped."""


class MeasurementError(FormfnError):
    """A measurement cannot be made as asked."""


class ResultsError(FormfnError):
    """Records cannot be written, read, or drawn."""
