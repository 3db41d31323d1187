"""What docs/findings.md and docs/paper.md say is what the code and the records say."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()


def test_the_margins_are_those_of_the_code():
    from formfn_profile.association import VIF_LIMIT
    from formfn_profile.correlation import FEWEST
    from formfn_profile.findings.verdicts import COUNT_MARGIN, MARGIN
    from formfn_profile.table import FITS_BELOW

    assert (MARGIN, COUNT_MARGIN, FITS_BELOW) == (1.05, 1.10, 0.01)
    assert (VIF_LIMIT, FEWEST) == (10, 5)
    for said in ("5% more for latencies, 10% for counts", "misses below 1%", "above 10", "for five points"):
        assert said in " ".join(PAGE.split())


def test_the_verdicts_of_the_page_are_those_of_its_records():
    from formfn_profile.findings import check
    from formfn_profile.gather import gather

    docs = Path(__file__).parents[2] / "docs"
    rows = re.findall(r"^\| (\S.*?) \| (.*?) \|$", (docs / "paper.md").read_text(), re.MULTILINE)
    results = check(gather([docs / "data" / "paper.jsonl.gz"]))
    assert rows[2:] == [(each.finding.verdict, each.claim.statement) for each in results]
