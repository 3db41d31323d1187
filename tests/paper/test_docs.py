"""docs/findings.md names the commands there are, with options that they take."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

from formfn_profile import __main__

PAGE = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()


def test_every_line_is_one_that_its_command_reads():
    lines = re.findall(r"^formfn-profile (\w+)([^#\n]*)", PAGE, re.MULTILINE)
    for name, words in lines:
        command = importlib.import_module(f"formfn_profile.{__main__._MODULES.get(name, name)}")
        command.parser().parse_args(shlex.split(words))
    assert {name for name, _ in lines} == {"plot", "claims", "correlate", "report", "roofline"}


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
