"""The command end to end, with real workers: records, refusals, a killed worker, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = [sys.executable, "-m", "formfn_profile.llc"]
SMALL = ["--width", "16", "--resolution", "16", "--pattern", "dwbottleneck"]


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def start(*arguments):
    return subprocess.Popen(
        [*COMMAND, *SMALL, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def workers(process):
    """The worker processes at work; what ends while it is asked is none."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "formfn_profile.measuring.worker" in child.cmdline():
                found.append(child)
    return found


@pytest.mark.slow
@pytest.mark.simulator
def test_the_main_job_records_both_backends_and_draws(tmp_path):
    """Latency natively, counts simulated for each cache asked for, outputs compared, a picture."""
    out, picture = tmp_path / "r.jsonl", tmp_path / "p.png"
    run = start("--depths", "2", "--cache", "host,paper", "--out", out, "--plot", picture)
    printed, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    found = records(out)
    assert sorted((r["backend"], r["launcher"]) for r in found) == [
        ("openvino-cpu", "llcsim"), ("openvino-cpu", "native"), ("torch", "llcsim"), ("torch", "native"),
    ]  # fmt: skip
    # The table: C²/2 + 9C/4 MACs a pixel a block, 27C for the stem, 10C for the head; C = 16, 16x16.
    macs = 16 * 16 * (2 * (16 * 16 // 2 + 9 * 16 // 4) + 27 * 16) + 160
    assert {(r["macs"], r["flops"]) for r in found} == {(macs, 2 * macs)}
    assert {r["status"] for r in found} == {"ok"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "simulated" in printed
    assert "openvino-cpu" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--pattern", "dwbotleneck"], "dwbottleneck"),
        (["--pattern", "grouped", "--width", "30"], "32"),
        (["--depths", "ten"], "whole number"),
        (["--cache", "papr"], "paper"),
        (["--L2", "half"], "SIZE/WAYS"),
        (["--L2", "none", "--counters", "hardware"], "L2 none"),
        (["--out", "/proc/no/such/file.jsonl"], "--out"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, said, tmp_path):
    """Non-zero exit, one line that names the way out, no traceback."""
    command = [*COMMAND, "--pattern", "dwbottleneck", "--depths", "2", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    assert said in lines[-1]
    assert len(lines) == 1


CACHES = "paper,paper:next-line"


@pytest.mark.slow
@pytest.mark.simulator
def test_without_an_l2_the_llc_sees_what_the_l1d_misses(tmp_path):
    """
    By definition: with nothing between the two, each L1d miss is an LLC reference, unlike with an L2. The
    same cache with a prefetcher beside it misses less often, and has counts of prefetches.
    """
    out = tmp_path / "r.jsonl"
    run = start("--depths", "2", "--cache", CACHES, "--L2", "none", "--backends", "torch", "--out", out)
    printed, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    (counted,) = [r for r in records(out) if r["launcher"] == "llcsim"]
    assert [cache["l2_bytes"] for cache in counted["caches"]] == [None, None]
    assert [cache.get("prefetcher") for cache in counted["caches"]] == [None, "next-line"]
    by_cache = {cache: {} for cache in (None, *CACHES.split(","))}
    for count in counted["counts"]:
        by_cache[count["cache"]][count["event"]] = count
    plain, prefetching = (by_cache[cache] for cache in CACHES.split(","))
    for counts in (plain, prefetching):
        assert counts["L1d-misses"]["samples"] == counts["LLC-references"]["samples"]
        assert counts["L2-misses"]["samples"] == [None]
        assert counts["L2-misses"]["reason"] == "no L2 is modelled"
        assert counts["coherence-misses"]["samples"] == [0]
    assert "LLC-prefetches" not in plain
    fewer, fetched = prefetching["LLC-misses"]["samples"][0], prefetching["LLC-prefetch-misses"]["samples"][0]
    assert fewer < plain["LLC-misses"]["samples"][0] <= (fewer + fetched) * 1.1
    assert prefetching["useful-prefetches"]["samples"][0] <= prefetching["LLC-prefetches"]["samples"][0]
    assert "LLC 4 MiB/16-way behind L1d 32 KiB/8-way" in printed


@pytest.mark.slow
@pytest.mark.parametrize("missing, hidden", [("valgrind", ("valgrind",)), ("gcc", ("gcc", "cc"))])
def test_without_valgrind_or_gcc_it_says_what_to_install(missing, hidden, tmp_path):
    """One line with the package to install, and no traceback; nothing is measured first."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(folder).glob("*"):
            link = tools / program.name
            if program.name not in hidden and not link.exists():
                link.symlink_to(program)
    environment = {**os.environ, "PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("CC", None)
    command = [*COMMAND, "--pattern", "dwbottleneck", "--depths", "2", "--counters", "simulated"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert missing in line
    assert "apt-get install" in line
    assert not list(tmp_path.glob("**/*.jsonl"))


@pytest.mark.slow
def test_a_killed_worker_costs_one_point(tmp_path):
    """SIGKILL of the first worker at work: one record failed with the reason, the others are measured."""
    out = tmp_path / "r.jsonl"
    run = start("--depths", "2,3", "--counters", "none", "--out", out, "--no-plot")
    wait_for(lambda: workers(run))[0].kill()
    run.communicate(timeout=300)
    found = records(out)
    assert run.returncode == 1
    failed = [r for r in found if r["status"] != "ok"]
    assert len(failed) == 1
    assert "SIGKILL" in failed[0]["reason"]
    assert len(found) == 4


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured(tmp_path):
    """Exit status 130, every finished record whole in the file, no process left."""
    out = tmp_path / "r.jsonl"
    run = start("--depths", "2,3,4,5,6,7,8", "--cache", "paper", "--out", out, "--no-plot")
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= 1)
    left = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "Traceback" not in said
    assert records(out)
    _, alive = psutil.wait_procs(left, timeout=10)
    assert alive == []


def test_help_needs_no_library(tmp_path):
    """`--help` imports neither torch nor OpenVINO nor matplotlib, so that it answers at once."""
    code = (
        "import sys\nfrom formfn_profile.llc import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'torch', 'openvino', 'matplotlib', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
