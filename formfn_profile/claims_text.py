"""The paper's findings in words: each verdict, the paper's figures and this machine's, and the advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.tabular import Table
from perfcounters._terminal import fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from formfn_profile.findings import Advice, Result

_COLUMNS = 110
_SHOWN = 6
_HEADS = ("verdict", "finding", "here", "in the paper")


def render(results: Sequence[Result], advice: Sequence[Advice], columns: int | None = None) -> str:
    """
    Return the verdicts as text, the paper's figures beside this machine's, and the advice under them, in
    lines of `columns` at most.
    """
    lines: list[str] = []
    for each in results:
        lines += [f"{each.finding.verdict.upper()}: {each.claim.statement}.", *_under(each), ""]
    first, *rest = advice_lines(advice)
    lines += [first, *(f"  {line}" for line in rest), "", summary(results)]
    return fitted(lines, min(columns or _COLUMNS, _COLUMNS))


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
    lines = [f"paper ({claim.where}): {claim.paper}"]
    lines += [f"here: {_figures(result)}"] if finding.figures else []
    lines += [finding.remark] if finding.remark else []
    return [f"    {line}" for line in (*lines, f"[{claim.name}] {claim.method}")]


def _figures(result: Result) -> str:
    figures = result.finding.figures
    more = len(figures) - _SHOWN
    return "; ".join(map(str, figures[:_SHOWN])) + (f"; and {more} more (--json)" if more > 0 else "")
