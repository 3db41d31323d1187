"""The paper's findings in words: each verdict, the paper's figures and this machine's, and the advice."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from formfn_profile.tabular import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from formfn_profile.findings import Advice, Result

_COLUMNS = 110
_SHOWN = 6
_HEADS = ("verdict", "finding", "here", "in the paper")


def render(results: Sequence[Result], advice: Sequence[Advice]) -> str:
    """Return the verdicts as text, the paper's figures beside this machine's, and the advice under them."""
    lines: list[str] = []
    for each in results:
        lines += [*_wrap(f"{each.finding.verdict.upper()}: {each.claim.statement}.", ""), *_under(each), ""]
    first, *rest = advice_lines(advice)
    lines.append(first)
    for line in rest:
        lines += _wrap(line, "  ")
    return "\n".join([*lines, "", summary(results)])


def table(results: Sequence[Result]) -> Table:
    """Return the verdicts as a table, the figures they rest on beside the paper's."""
    rows = [
        (
            each.finding.verdict,
            f"{each.claim.statement}.",
            ". ".join(filter(None, (_figures(each), each.finding.remark))),
            f"{each.claim.paper} ({each.claim.where})",
        )
        for each in results
    ]
    hints = {(number, 0): f"[{each.claim.name}] {each.claim.method}" for number, each in enumerate(results)}
    return Table(summary(results), _HEADS, rows, left=_HEADS[:1], wrapped=_HEADS[1:], hints=hints)


def advice_lines(advice: Sequence[Advice]) -> list[str]:
    """Return the paper's advice under a line that says what it is."""
    head = "The paper's advice, as far as these records support it:"
    return [head, *(f"{one.support}: {one.text}" for one in advice)]


def summary(results: Sequence[Result]) -> str:
    """Return how many findings there are of each verdict."""
    verdicts = [each.finding.verdict for each in results]
    counts = ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts))
    return f"{len(results)} findings: {counts}."


def _under(result: Result) -> list[str]:
    claim, finding = result.claim, result.finding
    lines = _wrap(f"paper ({claim.where}): {claim.paper}", "    ")
    if finding.figures:
        lines += _wrap(f"here: {_figures(result)}", "    ")
    if finding.remark:
        lines += _wrap(finding.remark, "    ")
    return [*lines, *_wrap(f"[{claim.name}] {claim.method}", "    ")]


def _figures(result: Result) -> str:
    figures = result.finding.figures
    more = len(figures) - _SHOWN
    return "; ".join(map(str, figures[:_SHOWN])) + (f"; and {more} more (--json)" if more > 0 else "")


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS, initial_indent=indent, subsequent_indent=indent + "  ")
