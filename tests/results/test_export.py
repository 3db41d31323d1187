"""Exports: pyperf itself reads and compares them; the CSV has the figures."""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys

import pyperf
import pytest

from formfn_profile.errors import ResultsError
from formfn_profile.export import to_pyperf
from formfn_profile.export_command import main
from formfn_profile.results import Count
from formfn_profile.store import Store

PROCESSES = [0.0100, 0.0101, 0.0099, 0.0102, 0.0098]


def write(path, records):
    with Store(path) as store:
        for record in records:
            store.append(record)
    return str(path)


def test_pyperf_compares_two_exports(sides, tmp_path):
    """`python -m pyperf compare_to`, on sides of which B takes 1.25 times as long in every call."""
    for name, records in zip("ab", sides(PROCESSES, [1.25 * value for value in PROCESSES]), strict=True):
        source = write(tmp_path / f"{name}.jsonl", records)
        assert main([source, "--pyperf", str(tmp_path / f"{name}.json")]) == 0
    command = [sys.executable, "-m", "pyperf", "compare_to", "a.json", "b.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "1.25x slower" in done.stdout


def test_pyperf_tests_significance_though_processes_made_more_and_fewer_calls(make, tmp_path):
    """A second of timing is 61 calls on one side and 53 on the other; with all of them pyperf can't tell."""
    for name, calls, factor in (("a", 61, 1.0), ("b", 53, 1.25)):
        samples = [factor * (1 + 0.01 * (i % 5)) for i in range(calls)]
        write(tmp_path / f"{name}.jsonl", [make(latency_s=tuple(samples)) for _ in range(5)])

    def compared(*options):
        for name in "ab":
            assert (
                main([str(tmp_path / f"{name}.jsonl"), "--pyperf", str(tmp_path / f"{name}.json"), *options])
                == 0
            )
        command = [sys.executable, "-m", "pyperf", "compare_to", "-v", "a.json", "b.json"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "Significant (t=" in compared()
    assert "ERROR when testing" in compared("--calls", "all")


def test_a_run_is_a_process_with_its_samples(sides, make, tmp_path):
    """Read back with pyperf's own loader: values, warm-ups, metadata under pyperf's names."""
    records, _ = sides(PROCESSES, PROCESSES, warmup_s=(0.5, 0.25), conditions={"load_before": 0.5})
    to_pyperf([*records, make(depth=20, latency_s=(1.0,))]).dump(str(tmp_path / "suite.json"))
    one, other = pyperf.BenchmarkSuite.load(str(tmp_path / "suite.json")).get_benchmarks()
    assert [run.values for run in one.get_runs()] == [record.latency_s for record in records]
    assert {run.warmups for run in one.get_runs()} == {((1, 0.5), (1, 0.25))}
    told = one.get_metadata()
    assert told["cpu_model_name"] == "Some CPU"
    assert told["cpu_count"] == 4
    assert told["load_avg_1min"] == 0.5
    assert told["versions_torch"] == "2.13.0"
    assert one.get_dates()[0].isoformat() == "2026-01-01T00:00:00"
    assert "depth 20" in other.get_name()


def test_what_pyperf_collected_comes_back(make):
    """Metadata that pyperf itself collects here, kept in the record, is the metadata of the run."""
    collected = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    kept = {key: collected[key] for key in ("platform", "python_version", "cpu_count")}
    suite = to_pyperf([make(latency_s=(1.0,), machine={"cpu": "Some CPU", "pyperf": kept})])
    (run,) = suite.get_benchmarks()[0].get_runs()
    assert kept.items() <= run.get_metadata().items()


def test_machines_are_not_mixed(make):
    """The rule is pyperf's: the runs of a benchmark have one cpu_model_name."""
    records = [make(latency_s=(1.0,)), make(latency_s=(1.0,), machine={"cpu": "Other"})]
    with pytest.raises(ResultsError, match="one machine"):
        to_pyperf(records)


def test_simulated_counts_alone_are_no_suite(make):
    with pytest.raises(ResultsError, match="no record has a latency"):
        to_pyperf([make(launcher="llcsim"), make(status="failed", reason="why", latency_s=(1.0,))])


def test_the_csv_has_a_line_a_record(make, tmp_path):
    samples = tuple(float(value) for value in range(1, 12))
    counts = (
        Count(event="instructions", samples=(5, 7), source="simulated"),
        Count(event="LLC-misses", samples=(None,), source="simulated", cache="paper", reason="why"),
    )
    records = [make(latency_s=samples), make(depth=20, launcher="llcsim", counts=counts)]
    table = tmp_path / "table.csv"
    assert main([write(tmp_path / "r.jsonl", records), "--csv", str(table)]) == 0
    with table.open(newline="") as file:
        timed, counted = csv.DictReader(file)
    assert timed["depth"] == "10"
    assert float(timed["median_s"]) == statistics.median(samples)
    # Of 11 samples the 2nd and the 10th: 1 - 2 (1 + 11) / 2^11 = 98.8% (the 3rd and 9th: 93.5%).
    assert (float(timed["median_low_s"]), float(timed["median_high_s"])) == (2.0, 10.0)
    assert timed["instructions"] == counted["median_s"] == counted["LLC-misses/paper"] == ""
    assert float(counted["instructions"]) == 6


def test_records_are_never_overwritten(make, tmp_path, capsys):
    path = write(tmp_path / "r.jsonl", [make(latency_s=(1.0,))])
    assert main([path, "--csv", path]) == 1
    assert "Name another file" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.jsonl").read_text())["latency_s"] == [1.0]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["none.jsonl", "--csv", "x.csv"], "none.jsonl"),
        (["r.jsonl", "--csv", "/proc/no/x.csv"], "/proc/no/x.csv"),
        (["r.jsonl", "--pyperf", "/proc/no/x.json"], "/proc/no/x.json"),
        (["r.jsonl"], "--pyperf"),
    ],
)
def test_a_mistake_is_one_clear_line(make, arguments, said, tmp_path):
    write(tmp_path / "r.jsonl", [make(latency_s=(1.0,))])
    command = [sys.executable, "-m", "formfn_profile", "export", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode != 0
    assert said in line


@pytest.mark.parametrize("command", ["compare", "export"])
def test_help_needs_no_library(command):
    code = (
        f"import sys\nfrom formfn_profile.{command}_command import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'openvino', 'matplotlib', 'numpy', 'pyperf'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
