"""Studies: the grid, resuming, repeats in fresh processes, time limits, a killed parent."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from formfn_profile import results

STUDY = [sys.executable, "-m", "formfn_profile", "study"]
SMALL = [
    "--pattern",
    "dwbottleneck",
    "--resolutions",
    "8",
    "--calls",
    "3",
    "--seconds",
    "0",
    "--counters",
    "none",
]


def run(*arguments, cwd=None):
    done = subprocess.run(
        [*STUDY, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_grid_is_measured_once_and_resumed(tmp_path):
    """Every combination, in processes of its own for each repeat; what is there is not measured again."""
    out = tmp_path / "r.jsonl"
    first = ["--widths", "16", "--depths", "1,2", "--processes", "2", "--out", out]
    assert run(*SMALL, *first).returncode == 0
    found = records(out)
    asked = {(d, b, p) for d in (1, 2) for b in ("torch", "openvino-cpu") for p in (0, 1)}
    assert {(r["depth"], r["backend"], r["process"]) for r in found} == asked
    assert len(found) == len(asked)
    # Rounds follow one another, backends take turns within each.
    assert [r["process"] for r in found] == [0] * 4 + [1] * 4
    assert [r["backend"] for r in found] == ["torch", "openvino-cpu"] * 4
    again = run(*SMALL, *first[:3], "1,2,3", *first[4:])
    assert again.returncode == 0
    assert [r["depth"] for r in records(out)[len(found) :]] == [3, 3, 3, 3]


@pytest.mark.slow
def test_options_come_from_a_file_too(tmp_path):
    """TOML by the long names; the command line comes first."""
    config = tmp_path / "grid.toml"
    config.write_text(
        'pattern = "standard"\ndepths = [1]\nwidths = [16, 32]\nresolutions = [8]\ncalls = 2\nseconds = 0.0\n'
        'counters = "none"\nbackends = ["torch"]\n'
    )
    out = tmp_path / "r.jsonl"
    assert run("--config", config, "--widths", "8", "--out", out).returncode == 0
    assert [(r["network"], r["width"], r["backend"]) for r in records(out)] == [("standard", 8, "torch")]


@pytest.mark.parametrize(
    "text, said",
    [
        ("depth = [1]", "there is no option 'depth'"),
        ("depths = [", "is not TOML"),
        (None, "cannot read"),
    ],
)
def test_a_bad_file_is_one_line(text, said, tmp_path):
    config = tmp_path / "grid.toml"
    if text is not None:
        config.write_text(text)
    done = run("--config", config)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_point_over_the_time_limit_is_given_up(tmp_path):
    """The model sleeps a minute in each call; the point after it is measured by a new worker."""
    (tmp_path / "slow_for_tests.py").write_text(
        "import time\nimport torch\n"
        "class Slow(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        if torch.utils._python_dispatch._len_torch_dispatch_stack() == 0 and WORKER:\n"
        "            time.sleep(60)\n"
        "        return x * 2\n"
        "import sys\nWORKER = any('worker' in word for word in sys.argv)\n"
        "def slow():\n    return Slow()\n"
        "def quick():\n    return torch.nn.Identity()\n"
    )
    out = tmp_path / "r.jsonl"
    done = run(
        *("--model", "slow_for_tests:slow,slow_for_tests:quick", "--input", "1x3x8x8", "--backends", "torch"),
        *("--calls", "2", "--seconds", "0", "--counters", "none", "--time-limit", "10", "--out", out),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    slow, quick = records(out)
    assert slow["status"] == "failed"
    assert "time limit of 10 s" in slow["reason"]
    assert quick["status"] == "ok"


@pytest.mark.slow
def test_killed_at_any_moment_it_is_resumed_with_nothing_lost(tmp_path):
    """A few moments here; `kill_study.py` by itself takes 50."""
    spec = importlib.util.spec_from_file_location("kill_study", Path(__file__).with_name("kill_study.py"))
    kill_study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kill_study)
    out = tmp_path / "study.jsonl"
    told = kill_study.torment(out, moments=3)
    assert kill_study.check(out)["ok"] == kill_study.POINTS, told


def test_identity_holds_point_machine_and_software():
    """Two records are the same work only if all of these agree."""
    base = {
        "status": "ok", "run_id": "a", "time": "t", "launcher": "native", "network": "standard",
        "pattern": "standard", "depth": 1, "width": 16, "resolution": 8, "backend": "torch",
        "precision": "f32", "threads": 1, "machine": {"cpu": "one", "torch": "2.13"},
    }  # fmt: skip
    one = results.Record(**base)
    assert one.identity == results.Record(**{**base, "run_id": "b", "time": "u"}).identity
    for change in (
        {"machine": {"cpu": "other", "torch": "2.13"}},
        {"machine": {"cpu": "one", "torch": "2.14"}},
        {"process": 1},
        {"depth": 2},
        {"precision": "bf16"},
        {"isa_cap": "avx2"},
        {"launcher": "llcsim"},
    ):
        assert one.identity != results.Record(**{**base, **change}).identity
    assert results.Record.from_dict(json.loads(json.dumps(one.to_dict()))).identity == one.identity


@pytest.mark.parametrize(
    "package, backend, precision, counts",
    [
        ("onnxruntime", "torch", "f32", False),
        ("onnxruntime", "onnxruntime", "f32", True),
        ("nncf", "openvino-cpu", "f32", False),
        ("nncf", "openvino-cpu", "int8", True),
    ],
)
def test_the_version_of_a_package_counts_for_its_own_points(package, backend, precision, counts):
    """Another ONNX Runtime or NNCF leaves what was measured without it as it is."""
    asked = {"status": "ok", "run_id": "a", "time": "t", "launcher": "native", "network": "net",
             "pattern": None,
             "backend": backend, "precision": precision, "threads": 1}  # fmt: skip
    old, new = (results.Record(**asked, machine={package: version}) for version in ("1.30", "1.31"))
    assert (old.identity != new.identity) == counts


@pytest.mark.slow
def test_precisions_are_points_of_a_study(tmp_path):
    """OpenVINO's three; PyTorch has no int8 here. Quantizing is timed apart, and its share is told."""
    pytest.importorskip("nncf", reason="pip install 'formfn-profile[int8]'")
    out = tmp_path / "r.jsonl"
    size = ("--widths", "16", "--depths", "1", "--precisions", "f32,bf16,int8", "--out", out)
    done = run(*SMALL, *size)
    assert done.returncode == 0, done.stdout
    found = {(r["backend"], r["precision"]): r for r in records(out)}
    assert {precision for _, precision in found} == {"f32", "bf16", "int8"}
    quantized = found.pop(("openvino-cpu", "int8"))
    assert quantized["status"] == "ok"
    assert quantized["quantize_s"] > 0
    assert quantized["operation_macs"]["int8"] == quantized["macs"]
    assert 1e-4 < quantized["output_error"] < 1
    assert {r["quantize_s"] for r in found.values()} == {None}
    refused = found["torch", "int8"]
    assert (refused["status"], refused["reason"]) == (
        "skipped", "torch runs no int8 here. What does: openvino-cpu"
    )  # fmt: skip
    assert "In int8 on openvino-cpu: " in done.stdout
    for backend in ("torch", "openvino-cpu"):
        half = found[backend, "bf16"]
        assert (half["status"], "bf16" in (half["reason"] or "")) in (("ok", False), ("skipped", True))


@pytest.mark.slow
def test_two_interpreters_take_turns(tmp_path):
    """The same interpreter under another name: two files that `compare` finds comparable and interleaved."""
    other = tmp_path / "other-python"
    other.symlink_to(sys.executable)
    out = tmp_path / "a.jsonl"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # a link is in no virtual environment
    done = subprocess.run(
        [*STUDY, *SMALL, "--widths", "16", "--depths", "1", "--backends", "openvino-cpu", "--processes", "3",
         "--against", str(other), "--out", str(out)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours, theirs = records(out), records(tmp_path / "a-against.jsonl")
    assert [r["process"] for r in ours] == [r["process"] for r in theirs] == [0, 1, 2]
    times = [(r["time"], side) for side, found in (("a", ours), ("b", theirs)) for r in found]
    assert [side for _, side in sorted(times)] == ["a", "b"] * 3


def test_an_interpreter_that_cannot_measure_is_one_line(tmp_path):
    done = run(*SMALL, "--widths", "16", "--against", tmp_path / "none", "--out", tmp_path / "r.jsonl")
    assert done.returncode == 1
    assert "cannot run" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.slow
def test_a_model_that_ends_its_process_costs_its_points_alone(tmp_path):
    """`os._exit` in the model's code while it is prepared: a failed record that says so, and the rest."""
    (tmp_path / "exits_for_tests.py").write_text(
        "import os\nimport torch\n"
        "class Exits(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        os._exit(7)\n"
        "def exits():\n    return Exits()\n"
        "def quick():\n    return torch.nn.ReLU()\n"
    )
    out = tmp_path / "r.jsonl"
    done = run(
        *("--model", "exits_for_tests:exits,exits_for_tests:quick", "--input", "1x3x8x8"),
        *("--backends", "torch", "--calls", "2", "--seconds", "0", "--counters", "none", "--out", out),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    gone, quick = sorted(records(out), key=lambda record: record["status"])
    assert gone["status"] == "failed"
    assert "its process ended by itself with exit status 7" in gone["reason"]
    assert quick["status"] == "ok"
