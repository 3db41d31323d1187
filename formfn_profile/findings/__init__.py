"""
The findings of "Does Form Follow Function?" (TinyML 2021), each as a test on one machine's records.

A finding that does not hold is a result. Speed-up is a ratio of latencies; the paper gives percentages,
and 380% may mean 3.8 times as fast or 380% faster, which is 4.8 times: both readings are shown, and a
finding that only one of them supports is inconclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.findings import cache, depth, networks, scaling
from formfn_profile.findings.advice import Advice, advise
from formfn_profile.findings.data import Data
from formfn_profile.findings.verdicts import REGISTERED, VERDICTS, Claim, Figure, Finding, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from formfn_profile.results import Record

__all__ = [
    "CLAIMS",
    "VERDICTS",
    "Advice",
    "Claim",
    "Data",
    "Figure",
    "Finding",
    "Result",
    "advise",
    "check",
]

CLAIMS: dict[str, Claim] = {
    name: each
    for module in (depth, scaling, cache, networks)
    for name, each in REGISTERED.items()
    if each.test.__module__ == module.__name__
}
"""Every claim by name, in the order of the paper's figures."""


def check(records: Iterable[Record]) -> list[Result]:
    """Test every claim on these records."""
    data = Data(records)
    return [Result(each, each.test(data)) for each in CLAIMS.values()]
