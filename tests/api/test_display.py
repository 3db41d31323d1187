"""How results show themselves: the same cells and notes as text and as HTML, with sources and reasons."""

from __future__ import annotations

import html.parser
import pickle

import pytest

import formfn_profile as ff
from formfn_profile.brief import brief
from formfn_profile.errors import ResultsError
from formfn_profile.results import pair
from formfn_profile.tabular import Table


class Page(html.parser.HTMLParser):
    """The texts of cells and items of a page; elements that are not closed in order are an error."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.items, self.titles, self.tags = [], [], [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.titles += [value for name, value in attrs if name == "title"]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "li":
            self.items.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.open[-1] == "li":
            self.items[-1] += data


@pytest.mark.usefixtures("capsys")
def test_results_print_the_table_and_what_stands_under_it(results):
    """Half the latency is a speed-up of 2; the source and the failed point's reason are told."""
    text = str(results)
    assert repr(results) == text  # where there is no terminal: `capsys`
    lines = text.splitlines()
    assert lines[0] == "standard, width 64, 112x112, batch 1, f32, 1 thread"
    (openvino,) = [line.split() for line in lines if "openvino-cpu  " in line]
    assert openvino[:4] == ["10", "openvino-cpu", "2.00", "2.00"]
    assert "2.00x" in openvino
    assert "4.20 k" in text
    assert "Counts: hardware, scope process. Known misses count right." in text
    assert "Failed: standard depth 10 on openvino-gpu, native: no <device> here" in text


def test_html_has_the_cells_and_notes_of_the_text(results):
    (table,) = results.tables()
    page = Page(results._repr_html_())
    assert page.rows[1:] == [list(table.columns), *map(list, table.rows)]
    assert page.items == results.notes()
    assert "LLC-misses, hardware, raw 0x412e, scope process" in page.titles


def test_html_is_escaped_and_needs_nothing_else(results):
    """No script, no address, no colour of its own: it is read on a dark page as on a light one."""
    text = results._repr_html_()
    assert "no &lt;device&gt; here" in text
    assert Page(text).tags == {
        "div",
        "style",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    }
    assert not any(word in text for word in ("http", "url(", "@import", "#fff", "background:#"))


def test_no_results_say_so():
    assert str(ff.Results(())) == "There is no record."
    assert "There is no record." in ff.Results(())._repr_html_()


def test_results_are_a_sequence_of_records(results):
    assert len(results) == 3
    assert results[0].backend == "torch"
    assert [each.backend for each in results[1:]] == ["openvino-cpu", "openvino-gpu"]
    assert results[1:].why == results.why
    assert results.where(backend="torch", depth=10).records == results.records[:1]
    assert results.failed.records == results.records[2:]
    assert pickle.loads(pickle.dumps(results)) == results


def test_a_field_that_records_lack_is_refused(results):
    with pytest.raises(ResultsError, match=r"no field 'bakend'; there is: .*backend"):
        results.where(bakend="torch")


@pytest.mark.parametrize("name", ["r.jsonl", "new folder/r.jsonl.gz"])
def test_saved_results_are_loaded_again(results, tmp_path, name):
    results.save(tmp_path / name)
    assert ff.load(tmp_path / name).records == results.records
    with pytest.raises(ResultsError, match="is there already"):
        results.save(tmp_path / name)
    results[:1].save(tmp_path / name, overwrite=True)
    assert len(ff.load(str(tmp_path / name))) == 1
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [name.split("/")[-1]]


def test_results_cannot_be_saved_below_a_file(results, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write records"):
        results.save(tmp_path / "file" / "r.jsonl")


def test_several_files_load_as_one(results, tmp_path):
    results[:1].save(tmp_path / "a.jsonl")
    results[1:].save(tmp_path / "b.jsonl")
    assert ff.load(tmp_path / "a.jsonl", tmp_path / "b.jsonl").records == results.records


def test_pandas_has_a_row_a_record(results):
    pytest.importorskip("pandas")
    assert list(results.to_pandas().backend) == ["torch", "openvino-cpu", "openvino-gpu"]


def test_layers_have_tables_of_their_own(results):
    """A layer of 3 ms and one of 1 ms are 75% and 25%; 5 million MACs are 10 MFLOPs."""
    layer = {"name": "a", "kind": "Conv2d", "modules": ("a",), "macs": 5_000_000, "seconds": 0.003}
    layers = (layer, layer | {"name": "b", "modules": ("b",), "macs": None, "seconds": 0.001})
    one = ff.Record.from_dict(results[0].to_dict() | {"layers": layers})
    (table,) = ff.Results((one,)).tables()
    assert [row[:5] for row in table.rows] == [
        ("a", "Conv2d", "10.0", "3000", "75.0%"),
        ("b", "Conv2d", "-", "1000", "25.0%"),
    ]


def test_findings_and_correlations_show_themselves(results):
    """Of one backend-less speed-up nothing can be decided but by saying so."""
    found = ff.claims(results)
    assert len(found) == len(ff.claims(results.records)) == 29  # docs/findings.md
    assert str(found).endswith(f"{len(found)} findings: " + str(found).rpartition("findings: ")[2])
    page = Page(found._repr_html_())
    assert [row[0] for row in page.rows[1:]] == [each.finding.verdict for each in found]
    related = ff.correlate(results)
    assert {each.backend for each in related.backends} >= {"torch", "openvino-cpu"}
    assert "No pattern was measured at two depths: no slopes." in str(related)
    assert related.backends[0].backend in " ".join(Page(related._repr_html_()).items)


def test_records_of_two_machines_are_refused(results):
    other = ff.Record.from_dict(results[0].to_dict() | {"machine_cpu": "Other CPU"})
    for function in (ff.claims, ff.correlate, ff.report):
        with pytest.raises(ResultsError, match="2 machines"):
            function([*results, other])


def test_files_and_records_are_not_mixed(results, tmp_path):
    results.save(tmp_path / "r.jsonl")
    assert ff.correlate(tmp_path / "r.jsonl") == ff.correlate([tmp_path / "r.jsonl"])
    with pytest.raises(ResultsError, match="not both"):
        ff.correlate([tmp_path / "r.jsonl", results[0]])


def test_a_report_is_written(results, tmp_path):
    assert "<!DOCTYPE html>" in ff.report(results, tmp_path / "r.html").read_text()
    assert ff.report(results, tmp_path / "r.md").read_text().startswith("# ")


def test_an_ok_record_that_holds_nothing_is_a_row(results):
    """Neither latency nor counts: what was asked for is still told."""
    empty = ff.Record.from_dict(results[0].to_dict() | {"latency_s": ()})
    (row,) = pair([empty])
    assert row.point == empty
    assert "torch" in str(ff.Results((empty,)))


def test_a_table_sets_its_columns():
    """The layout, written out."""
    table = Table(
        "T", ("name", "n"), [("a", "1"), ("bcdef", "22")], left=("name",), groups=(("", 1), ("g", 1))
    )
    assert table.text() == "T\n        g\nname    n\na       1\nbcdef  22"


def test_a_table_wider_than_the_terminal_is_folded():
    """
    In 18 columns: name, one and two take 5 + 3 + 3 and two gaps of 2; what is left stands under them, beside
    its names. The second line of "a" has nothing under one and two, and is left out there.
    """
    rows = [("a", "1", "22", "x", "3"), ("", "", "", "y", "4"), ("bcdef", "5", "-", "x", "six teen")]
    table = Table(
        "T", ("name", "one", "two", "part", "three"), rows, remarks=("what has to be said",),
        left=("name", "part", "three"), keys=("name", "part"),
        groups=(("", 1), ("g", 2), ("wide heading", 2)),
    )  # fmt: skip
    assert table.text(18).split("\n") == [
        "T",
        "       -- g ---",
        "name   one  two",
        "a        1   22",
        "bcdef    5    -",
        "",
        "        wide heading",
        "name   part  three",
        "a      x     3",
        "       y     4",
        "bcdef  x     six",
        "  teen",
        "what has to be",
        "  said",
    ]
    assert table.text(100) == table.text()


class TestBrief:
    """A reason of sixty lines is shown in few; where it ends matters as where it begins."""

    def test_a_short_reason_is_left_alone(self):
        assert brief("ran out of memory") == "ran out of memory"
        assert brief("one\n  two\n\nthree") == "one two three"
        assert brief(None) == ""

    def test_places_alone_are_left_out(self):
        """OpenVINO's first line says only where in its source it was raised."""
        said = "Exception from src/inference/src/cpp/core.cpp:97:\nCheck 'x' failed\n"
        assert brief(said) == "Check 'x' failed (shortened; the record has the whole reason)"

    def test_sixty_lines_are_cut_to_the_first_and_the_last(self):
        """As PyTorch's for an operator that a backend lacks, and OpenVINO's list of what it tried."""
        registered = "\n".join(
            f"{name}: registered at ../x/{name}.cpp:30 [kernel]" for name in ("CPU", "Meta")
        )
        lines = "\n".join(f"-- tried {n}" for n in range(60))
        shown = brief(f"Could not run 'aten::x'.\n{registered}\n{lines}\nNo rule for aten::x")
        assert shown == (
            "Could not run 'aten::x'. -- tried 0 -- tried 1 ... No rule for aten::x"
            " (shortened; the record has the whole reason)"
        )

    def test_a_long_line_is_cut(self):
        assert len(brief("x" * 5000)) < 400
