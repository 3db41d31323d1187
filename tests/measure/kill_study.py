"""
Kill a study again and again, then let it finish: each point must be there once, whole.

Run: python tests/measure/kill_study.py [MOMENTS [SEED]]
At each moment the parent, its worker or both are killed with SIGKILL, and the study is started again on the
same file. Prints what was killed when, and what the file held in the end.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

STUDY = (
    *("study", "--pattern", "dwbottleneck,standard", "--depths", "1,2,3,4,5", "--widths", "16"),
    *("--resolutions", "16", "--calls", "3", "--seconds", "0.2", "--counters", "none", "--processes", "2"),
)
POINTS = 2 * 5 * 2 * 2


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "formfn_profile", *STUDY, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(parent: int, whom: str) -> list[psutil.Process]:
    """Kill and return all that ran."""
    try:
        family = [psutil.Process(parent), *psutil.Process(parent).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    chosen = {"parent": family[:1], "worker": family[1:2], "both": family}[whom]
    for process in chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return family


def torment(out: Path, moments: int, seed: int = 0) -> list[str]:
    """Kill at `moments` moments, finish, and return what was done."""
    chance = random.Random(seed)
    told = []
    for number in range(moments):
        process = start(out)
        whom = chance.choice(["parent", "worker", "both"])
        time.sleep(chance.uniform(0.5, 8.0))
        family = kill(process.pid, whom)
        if whom == "worker":  # the study goes on without it: end it too, some time later
            time.sleep(chance.uniform(0.0, 1.0))
            kill(process.pid, "parent")
        process.communicate()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive, f"left behind: {alive}"
        lines = out.read_bytes().count(b"\n") if out.exists() else 0
        told.append(f"{number + 1}: {whom} killed, {lines} lines")
    final = start(out)
    _, said = final.communicate()
    assert final.returncode == 0 or "failed" in out.read_text(), said
    return told


def check(out: Path) -> Counter[str]:
    """Return how many records have which status, each finished point being there once."""
    records = [json.loads(line) for line in out.read_text().splitlines()]
    names = ("network", "depth", "backend", "process")
    finished = Counter(tuple(r[name] for name in names) for r in records if r["status"] == "ok")
    assert len(finished) == POINTS, f"{POINTS - len(finished)} points lost"
    assert set(finished.values()) == {1}, "a point was measured twice"
    assert all(len(r["latency_s"]) >= 3 for r in records if r["status"] == "ok")
    return Counter(r["status"] for r in records)


if __name__ == "__main__":
    moments, seed = (int(each) for each in (*sys.argv[1:], *("50", "0")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.jsonl"
        print("\n".join(torment(file, moments, seed)))
        print(dict(check(file)))
