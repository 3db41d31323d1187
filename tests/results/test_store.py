"""The store: torn anywhere, read by later and earlier versions, as a table of pandas."""

from __future__ import annotations

import json
import sys

import pytest

from formfn_profile.errors import ResultsError
from formfn_profile.results import SCHEMA, Count
from formfn_profile.store import Store, load, to_pandas


@pytest.fixture
def written(make, tmp_path):
    """A file of three records, and the records."""
    path = tmp_path / "whole.jsonl"
    counts = (Count(event="LLC-misses", samples=(1, None), source="simulated", cache="paper"),)
    records = [
        make(latency_s=(0.5, 0.25), counts=counts),
        make(depth=20),
        make(status="failed", reason="é\n"),
    ]
    with Store(path) as store:
        for record in records:
            store.append(record)
    return path, records


def test_what_was_written_is_loaded(written):
    path, records = written
    assert load(path) == records


def test_a_file_cut_anywhere_is_read_up_to_its_last_whole_line_and_goes_on(
    written, make, tmp_path, monkeypatch
):
    """
    A kill or a full disk may end the file at any byte: each one is tried. Nothing whole is lost, and the
    bytes of the torn line are kept aside.
    """
    path, records = written
    monkeypatch.setattr("os.fsync", lambda fd: None)  # 2,000 times, and nothing is killed here
    data = path.read_bytes()
    later = make(depth=99)
    cut = tmp_path / "cut.jsonl"
    aside = tmp_path / "cut.jsonl.torn"
    start = data.index(b"\n")  # the first record is like the others
    for size in [0, 1, *range(start, len(data))]:
        cut.write_bytes(data[:size])
        whole = data[:size].count(b"\n")
        assert load(cut) == records[:whole]
        with Store(cut) as store:
            store.append(later)
        assert load(cut) == [*records[:whole], later]
        torn = data[:size].rpartition(b"\n")[2]
        assert (aside.read_bytes() if aside.exists() else b"") == (torn + b"\n" if torn else b"")
        assert (store.notice is not None) == bool(torn)
        aside.unlink(missing_ok=True)


def test_a_newer_schema_is_read_and_written_back_whole(written, tmp_path):
    """Unknown columns stay with the record; unknown fields of a count are left out."""
    path, records = written
    flat = json.loads(path.read_text().splitlines()[0])
    flat |= {"schema": SCHEMA + 1, "colour": [1, {"deep": 2}], "machine_socket": "LGA"}
    flat["counts"][0]["mood"] = "good"
    newer = tmp_path / "newer.jsonl"
    newer.write_text(json.dumps(flat) + "\n")
    (record,) = load(newer)
    assert record.extra == {"colour": [1, {"deep": 2}]}
    assert record.machine["socket"] == "LGA"
    assert record.counts == records[0].counts
    del flat["counts"][0]["mood"]
    assert json.loads(json.dumps(record.to_dict())) == flat


def test_a_second_writer_is_refused(written):
    path, _ = written
    with Store(path), pytest.raises(ResultsError, match="another process is writing"):
        Store(path)


@pytest.mark.parametrize(
    "line, said",
    [
        ("nonsense", "line 2: not JSON"),
        ('{"network": "standard"}', "line 2: not a record"),
        ('{"schema": 0}', "line 2: schema 0"),
        ('{"schema": 1}', "line 2: not a record"),
    ],
)
def test_a_whole_line_that_is_no_record_is_named(written, line, said):
    path, _ = written
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    with pytest.raises(ResultsError, match=said):
        load(path)


def test_pandas_has_a_row_a_record_with_the_columns_of_the_file(written):
    """The columns that `pandas.read_json(path, lines=True)` has."""
    pandas = pytest.importorskip("pandas")
    path, _ = written
    table = to_pandas(load(path))
    assert list(table.columns) == list(pandas.read_json(path, lines=True).columns)
    assert list(table["depth"]) == [10, 20, 10]
    assert list(table["machine_cpu"]) == ["Some CPU"] * 3
    assert table["latency_s"][0] == [0.5, 0.25]


def test_without_pandas_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ResultsError, match="pip install pandas"):
        to_pandas([])
