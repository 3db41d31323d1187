"""The commands on records: what they print, and how they refuse."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest

from formfn_profile import __main__
from formfn_profile.store import Store


@pytest.fixture
def records(make, tmp_path):
    """A study over depth and width in which OpenVINO is three times as fast and misses a quarter."""

    def seconds(backend, depth, width, **_):
        return depth * width**2 * (3e-6 if backend == "torch" else 1e-6)

    def misses(backend, depth, width, **_):
        return depth * width * (400 if backend == "torch" else 100)

    make.grid(seconds, misses, depth=(10, 50), width=(64,))
    make.grid(seconds, misses, depth=(10,), width=(32, 128))
    with Store(tmp_path / "records.jsonl") as store:
        for record in make.made:
            store.append(record)
    return tmp_path / "records.jsonl"


def run(capsys, *words):
    status = __main__.main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_claims_prints_a_verdict_for_each_and_the_advice(capsys, records):
    status, out, _ = run(capsys, "claims", records)
    assert status == 0
    assert "HOLDS: Acceleration makes every pattern faster, at every depth." in out
    assert "DOESN'T: The mean gain over patterns and depths reaches 380%." in out
    assert "NOT MEASURED: The integrated GPU gains more than the CPU." in out
    assert "here: mean of 12 points: 3x" in out
    assert "supported: Within one pattern, FLOPs are a fair guide" in out


def test_claims_as_json(capsys, records):
    status, out, _ = run(capsys, "claims", records, "--json")
    found = {each["claim"]: each for each in json.loads(out)}
    assert status == 0
    assert found["misses-fall"]["verdict"] == "holds"
    assert found["misses-fall"]["figures"][0]["value"] == pytest.approx(4)


def test_correlate_prints_coefficients_and_slopes(capsys, records):
    status, out, _ = run(capsys, "correlate", records)
    assert status == 0
    assert "torch f32: 18 points (6 patterns x 3 widths) at depth 10" in out
    assert "What one block adds (trivial: " in out
    row = next(line.split() for line in out.splitlines() if line.startswith("grouped") and "torch" in line)
    assert row[5:8] == ["12,288", "25.6", "k"]  # 64² x 3 us a block; 400 misses a channel


def test_correlate_as_json(capsys, records):
    status, out, _ = run(capsys, "correlate", records, "--json")
    assert status == 0
    assert {each["backend"] for each in json.loads(out)["correlations"]} == {"torch", "openvino-cpu"}


@pytest.mark.slow
def test_plot_draws_what_the_records_hold_and_says_what_not(capsys, records, tmp_path):
    status, out, _ = run(capsys, "plot", records, "-o", tmp_path / "pictures", "--format", "svg")
    assert status == 0
    drawn = {path.stem for path in (tmp_path / "pictures").iterdir()}
    assert drawn == {"figure1", "figure2", "figure3", "figure4", "roofline", "misses"}
    assert "figure5: nothing to draw: no named network was timed" in out


def test_plot_refuses_in_a_line(capsys, records, tmp_path):
    (tmp_path / "bad.json").write_text("[]")
    (tmp_path / "file").write_text("")
    for words, said in (
        (("--figures", "figure5"), "no named network was timed"),
        (("--figures", "figure9"), "there is no figure 'figure9'"),
        (("--ceilings", tmp_path / "bad.json"), "holds no ceilings"),
        (("-o", tmp_path / "file"), "cannot write to"),
    ):
        status, out, err = run(capsys, "plot", records, *words)
        assert (status, out) == (1, "")
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["claims", "correlate", "plot"])
def test_what_a_user_can_cause_is_one_line(capsys, tmp_path, command):
    empty, broken = tmp_path / "empty.jsonl", tmp_path / "broken.jsonl"
    empty.write_text("")
    broken.write_text("not json\n")
    for path, said in ((tmp_path / "none", "No such file"), (empty, "holds no record"), (broken, "not JSON")):
        status, out, err = run(capsys, command, path)
        assert (status, out) == (1, "")
        assert said in err
        assert err.count("\n") == 1


def test_records_of_two_machines_are_refused(capsys, make, tmp_path):
    with Store(tmp_path / "two.jsonl") as store:
        store.append(make.timed(1.0))
        store.append(make.timed(1.0, machine={"cpu": "Another CPU"}))
    status, _, err = run(capsys, "claims", tmp_path / "two.jsonl")
    assert status == 1
    assert "2 machines (Made-up CPU" in err


def test_compressed_records_are_read_and_damaged_ones_refused(capsys, records, tmp_path):
    packed = tmp_path / "records.jsonl.gz"
    packed.write_bytes(gzip.compress(records.read_bytes()))
    assert run(capsys, "claims", packed)[1] == run(capsys, "claims", records)[1]
    packed.write_bytes(packed.read_bytes()[:-200])
    status, _, err = run(capsys, "claims", packed)
    assert status == 1
    assert "cannot read records" in err


@pytest.mark.parametrize("command", ["claims", "correlate", "plot"])
def test_help_loads_no_library(command):
    code = (
        f"import sys; from formfn_profile.__main__ import main\n"
        f"try: main(['{command}', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'torch', 'openvino', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_closed_pipe_is_no_traceback(records):
    """As in `formfn-profile claims RECORDS | head -1`: the reader goes, the writer ends quietly."""
    claims = f"{sys.executable} -m formfn_profile claims {records}"
    command = f"{claims} | head -c 1 > /dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() in ("0", "141")
    assert done.stderr == ""
