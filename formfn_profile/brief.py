"""A reason cut to what informs, for where it is shown; its record keeps the whole."""

from __future__ import annotations

import re

_FIRST = 3
_COLUMNS = 300
_PLACE = re.compile(r"Exception from \S+:\d+:?|.* registered at \S+:\d+ .*")


def brief(reason: str | None) -> str:
    """
    Return a reason on one line: its first three lines and its last, without those that say only where in a
    library it was raised.

    PyTorch's for an operator that a backend lacks has sixty lines, one for each backend; OpenVINO's begins
    with a place in its source and ends with what it could not convert.
    """
    lines = [line.strip() for line in (reason or "").splitlines() if line.strip()]
    told = [line for line in lines if not _PLACE.fullmatch(line)] or lines
    shown = told if len(told) <= _FIRST + 1 else [*told[:_FIRST], "...", told[-1]]
    text = " ".join(line if len(line) <= _COLUMNS else f"{line[:_COLUMNS]}..." for line in shown)
    return text if text == " ".join(lines) else f"{text} (shortened; the record has the whole reason)"


def cause(error: BaseException) -> BaseException:
    """Return what first went wrong, of errors raised one for another."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
