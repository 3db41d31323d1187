"""The store: torn anywhere, read by later and earlier versions, as a table of pandas."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formfn_profile import store
from formfn_profile.errors import ResultsError
from formfn_profile.gather import gather
from formfn_profile.results import SCHEMA, Count, Record
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


@pytest.mark.slow
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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_changed_anywhere_is_records_or_an_error_of_ours(written, data):
    """Bytes changed, lost or put in anywhere: whole records, or one error that names the line."""
    path, _ = written
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        lost = data.draw(st.integers(0, 5))
        changed[at : at + lost] = data.draw(
            st.binary(max_size=5) | st.sampled_from([b"[" * 3000, b"1e999", b"NaN"])
        )
    file = path.with_name("changed.jsonl")
    file.write_bytes(changed)
    with contextlib.suppress(ResultsError):
        assert all(Record.from_dict(record.to_dict()) == record for record in load(file))


@pytest.mark.parametrize(
    "change",
    [
        {"threads": "one"},
        {"depth": 1.5},
        {"latency_s": ["0.1"]},
        {"latency_s": 0.1},
        {"counts": [5]},
        {"counts": [{"event": "LLC-misses", "source": "simulated", "samples": [0.5]}]},
        {"layers": [[1]]},
        {"status": "good"},
        {"macs": 1 << 80},
    ],
)
def test_a_value_of_another_type_is_refused(written, change):
    """What would end a command in the middle of its table is found when the line is read."""
    path, _ = written
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | change)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ResultsError, match="line 2: not a record"):
        load(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(written, number):
    path, _ = written
    path.write_text(path.read_text().replace("0.25", number))
    with pytest.raises(ResultsError, match="line 1: not"):
        load(path)


def test_a_small_file_must_not_fill_the_memory(written, monkeypatch):
    """A line of 1 MiB of zeros in a gzip of 1 KiB: too much for the file, and too long for a line."""
    path, _ = written
    bomb = path.with_name("bomb.jsonl.gz")
    bomb.write_bytes(gzip.compress(bytes(1 << 20) + b"\n"))
    monkeypatch.setattr(store, "_MOST_UNPACKED", 1 << 16)
    with pytest.raises(ResultsError, match="it unpacks to more than records take"):
        load(bomb)
    monkeypatch.setattr(store, "_LONGEST", 1 << 16)
    monkeypatch.setattr(store, "_MOST_UNPACKED", 1 << 30)
    with pytest.raises(ResultsError, match="a line is longer than"):
        load(bomb)


def test_records_without_a_number_are_written_as_none(make, tmp_path):
    """JSON has no NaN: it is absent, wherever it stands."""
    record = make(
        conditions={"load_before": math.nan}, properties={"deep": [math.inf]}, output_error=math.inf
    )
    with Store(tmp_path / "r.jsonl") as file:
        file.append(record)
    (found,) = load(tmp_path / "r.jsonl")
    assert found.conditions["load_before"] is None
    assert found.properties["deep"] == [None]
    assert found.output_error is None


def test_a_failure_stands_until_the_point_is_measured(make, tmp_path):
    """Of another point, or of another process of the same, it stays."""
    failed = [
        make(status="failed", reason="it died", **other) for other in ({}, {"depth": 9}, {"process": 1})
    ]
    with Store(tmp_path / "records") as file:
        for record in failed:
            file.append(record)
        assert gather([tmp_path / "records"]) == failed
        file.append(measured := make(latency_s=(1.0,)))
    assert gather([tmp_path / "records"]) == [*failed[1:], measured]


def test_a_clock_set_back_leaves_the_order_of_a_file(make, tmp_path):
    """Of two measurements of a point the later counts: the one further down, whatever time it bears."""
    ticks = (0, 100, 50, 60)
    first = [make(at=at, latency_s=(float(number),)) for number, at in enumerate(ticks)]
    second = [make(at=at) for at in (40, 80, 120)]
    for name, records in (("first", first), ("second", second)):
        with Store(tmp_path / name) as file:
            for record in records:
                file.append(record)
    assert gather([tmp_path / "first"]) == first
    both = gather([tmp_path / "first", tmp_path / "second"])
    assert [one for one in both if one in first] == first
    assert [one for one in both if one in second] == second
