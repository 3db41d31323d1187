"""The report: one page that needs nothing else, and holds all that the records do."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest

from formfn_profile import __main__, reporting
from formfn_profile.ceilings import Ceilings
from formfn_profile.errors import ResultsError
from formfn_profile.findings import CLAIMS
from formfn_profile.results import Record
from formfn_profile.store import Store

VOID = {"meta", "br", "hr", "link", "img", "input"}


class Page(HTMLParser):
    """What the page holds; refuses elements that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tables, self.svgs = [], [], [], [], 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[name] for name in ("href", "src", "xlink:href", "data") if name in attrs]
        self.svgs += tag == "svg"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(["", attrs.get("data-key")])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1][0] += data


def seconds(backend, depth, width=64, **_):
    return depth * width**2 * (4e-6 if backend == "torch" else 1e-6)


def misses(backend, depth, width=64, **_):
    return depth * width * (400 if backend == "torch" else 100)


CEILINGS = Ceilings(peak_flops=1e11, bandwidth=1e10, threads=1, how="made up")


@pytest.fixture(scope="module")
def study(make_once):
    make_once.grid(seconds, misses, depth=(10, 50))
    make_once.grid(seconds, misses, depth=(10,), width=(32, 128))
    make_once.failed("no <GPU> & none to come", backend="openvino-gpu")
    return make_once.made


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "r.html"
    reporting.write_html(study, path, CEILINGS)
    return path.read_text()


@pytest.mark.slow
def test_page_is_whole_and_needs_nothing_else(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert found.svgs == 6  # the five figures less that of the networks; a roofline; a curve
    outside = [link for link in found.links if not link.startswith(("#", "data:"))]
    assert outside == []
    assert not re.search(r"@import|url\((?!#)|<script[^>]+src|fetch\(|XMLHttp", page)
    assert {f"#{name}" for name in found.ids} >= {link for link in found.links if link.startswith("#")}


@pytest.mark.slow
def test_what_is_not_drawn_is_said(page):
    assert "Named networks (figure5): nothing to draw: no named network was timed" in page


def test_text_of_records_is_no_markup(page):
    assert "no &lt;GPU&gt; &amp; none to come" in page
    assert "<GPU>" not in page


def test_every_claim_is_in_its_table(page):
    table = next(each for each in Page(page).tables if each[0] and each[0][0][0] == "verdict")
    assert len(table) == 1 + len(CLAIMS)
    verdict, statement, here, paper, _ = (text for text, _ in table[3])
    assert (verdict, statement) == ("inconclusive", "The mean gain over patterns and depths reaches 380%.")
    assert "mean of 12 points: 4x" in here
    assert paper.startswith("380%: 3.8x, or 4.8x")


def test_points_sort_by_numbers_not_by_their_text(page):
    """OpenVINO, standard, depth 50: 50 x 64² x 1e-6 s; PyTorch takes four times as long."""
    table = next(each for each in Page(page).tables if each[0] and each[0][0][0] == "network")
    names = [text for text, _ in table[0]]
    row = next(
        dict(zip(names, row, strict=True))
        for row in table[1:]
        if [cell[0] for cell in row[:3]] == ["standard", "50", "64"] and row[5][0] == "openvino-cpu"
    )
    assert float(row["latency, ms"][1]) == pytest.approx(50 * 64**2 * 1e-6 * 1e3)
    assert row["speed-up"][0] == "4.00x"
    assert float(row["speed-up"][1]) == pytest.approx(4)
    assert float(row["misses"][1]) == misses("openvino-cpu", 50)


def test_the_records_inside_are_those_it_was_made_from(page, study):
    (link,) = [link for link in Page(page).links if link.startswith("data:application/gzip;base64,")]
    lines = gzip.decompress(base64.b64decode(link.partition(",")[2])).decode().splitlines()
    assert [Record.from_dict(json.loads(line)) for line in lines] == [
        Record.from_dict(json.loads(json.dumps(record.to_dict()))) for record in study
    ]


@pytest.mark.slow
def test_the_same_records_give_the_same_page(page, study, tmp_path):
    reporting.write_html(study, tmp_path / "again.html", CEILINGS)
    assert (tmp_path / "again.html").read_text() == page


@pytest.mark.slow
def test_markdown_names_pictures_that_are_there(study, tmp_path):
    reporting.write_markdown(study, tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    named = set(re.findall(r"!\[[^]]*\]\(r_figures/([^)]+)\)", text))
    assert named == {path.name for path in (tmp_path / "r_figures").iterdir()}
    assert len(named) == 6
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    claims = [line for line in rows if re.match(r"\| (holds|doesn't|inconclusive|not measured) \|", line)]
    assert len(claims) == len(CLAIMS)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in claims} == {6}
    assert "no \\<GPU\\> & none to come" in text


@pytest.mark.slow
def test_command_writes_the_page_and_refuses_in_a_line(capsys, study, tmp_path):
    path = tmp_path / "records.jsonl"
    with Store(path) as store:
        for record in study:
            store.append(record)
    page = tmp_path / "new" / "page.html"
    assert __main__.main(["report", str(path), "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"Report: {page}\n"
    assert page.read_text().endswith("</html>\n")
    assert __main__.main(["report", str(path), "-o", str(path / "below-a-file.html")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot write the report" in err
    assert err.count("\n") == 1


def test_no_record_is_an_error():
    with pytest.raises(ResultsError, match="there is no record"):
        reporting.compose([])
