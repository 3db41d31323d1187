"""
Studies on Dask workers, processes as a user starts them: who gets what, and what is lost with one that dies
(nothing).

"tagged" may time and "other" may not; each believes to be on a machine of its own, and most tests have them
measure as cluster_work does.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import cluster_work
import pytest
from cluster_work import Listening, carried_out, overlapping, plan_of

import formfn_profile as ff
from formfn_profile import store
from formfn_profile.cluster import dask_client, dask_pool, dask_workers
from formfn_profile.cluster.errand import Errand, describe
from formfn_profile.errors import MeasurementError
from formfn_profile.measuring.protocol import Protocol

HERE = Path(__file__).parent
TAG = "MEANT"
LIMIT_S = 300  # of what a test waits for


class LocalDask:
    """A scheduler and workers as a user starts them."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = {}
        self._file = folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(self._file))
        wait_until(self._file.exists)

    def _start(self, *words, **environment):
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        with (self.folder / "log").open("ab") as log:
            return self.processes.setdefault(
                environment.get(cluster_work.NAME, words[0]),
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *words, "--no-dashboard"],
                    env={**os.environ, "PYTHONPATH": path, **environment},
                    stdout=log,
                    stderr=log,
                ),
            )

    def worker(self, name, *words, boot=None, version=""):
        (self.folder / f"boot-{name}").write_text(boot or name, encoding="ascii")
        told = {cluster_work.NAME: name, cluster_work.FOLDER: str(self.folder), cluster_work.VERSION: version}
        preload = ("--preload", str(HERE / "cluster_work.py"), "--scheduler-file", str(self._file))
        own = {cluster_work.BOOT: str(self.folder / f"boot-{name}")}
        self._start(
            "worker", *preload, "--no-nanny", "--nthreads", "1", "--name", name, *words, **told, **own
        )

    def client(self):
        from distributed import Client

        return Client(scheduler_file=str(self._file), set_as_default=False)

    def signal(self, kind, name):
        return self.folder / f"{kind}-{name}"

    @contextlib.contextmanager
    def told(self, kind, name):
        file = self.signal(kind, name)
        file.touch()
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)

    @property
    def address(self):
        return json.loads(self._file.read_text())["address"].replace("tcp://", "dask://")

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def wait_until(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    pytest.importorskip("distributed")
    made = LocalDask(tmp_path_factory.mktemp("dask"))
    made.worker("tagged", "--resources", f"{TAG}=1")
    made.worker("other")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(dask):
    with dask.client() as made:
        made.wait_for_workers(2, timeout=LIMIT_S)
        yield made


@pytest.fixture
def pool(client):
    return dask_pool.DaskPool(client, TAG, work=cluster_work.work)


@pytest.fixture
def once_begun(dask):
    """Return a function that makes a `check`, which raises an exception once "tagged" has begun a point."""
    begun = dask.signal("begun", "tagged")
    begun.unlink(missing_ok=True)

    def made(error):
        def check():
            if begun.exists():
                raise error

        return check

    return made


def by_worker(records):
    return {name: [r for r in records if r.conditions["worker"] == name] for name in ("tagged", "other")}


def test_what_is_timed_goes_to_the_tagged_worker_alone(pool, tmp_path):
    """One at a time, with nothing simulated there before the last is timed; the other simulates meanwhile."""
    found = carried_out(pool, plan_of(6), tmp_path / "r.jsonl")
    timed = [record for record in found if record.launcher == "native"]
    simulated = by_worker([record for record in found if record.launcher == "llcsim"])
    assert (len(timed), len(found)) == (6, 12)
    assert {record.conditions["worker"] for record in timed} == {"tagged"}
    assert overlapping([*timed, *simulated["tagged"]]) == []
    assert simulated["other"]
    last = max(record.conditions["ended"] for record in timed)
    assert all(record.conditions["begun"] > last for record in simulated["tagged"])


def test_a_killed_worker_loses_nothing_and_doubles_nothing(dask, client, tmp_path):
    """It had a point to time and is killed (SIGKILL); the tagged one that is left times it."""
    out = tmp_path / "r.jsonl"
    plan = plan_of(5)
    dask.worker("killed", "--resources", f"{TAG}=1")
    client.wait_for_workers(3, timeout=LIMIT_S)
    progress = Listening()

    def kill():
        wait_until(dask.signal("begun", "killed").exists)
        dask.processes["killed"].kill()

    with dask.told("hold", "killed"):
        killer = threading.Thread(target=kill)
        killer.start()
        pool = dask_pool.DaskPool(client, TAG, work=cluster_work.work)
        carried_out(pool, plan, out, progress=progress)
        killer.join()
    asked = {(point.spec.depth, launcher) for point in plan.points for launcher in ("native", "llcsim")}
    found = store.load(out)
    assert Counter((r.depth, r.launcher) for r in found) == Counter(asked)
    assert {r.status for r in found} == {"ok"}
    assert not by_worker(found).get("killed")
    assert len([note for note in progress.notes if "is gone; standard depth" in note]) == 1
    assert carried_out(pool, plan, out) == []


def test_the_second_wish_to_stop_ends_what_workers_do(dask, pool, once_begun, tmp_path):
    """The iterator is closed while a worker holds a point: it stops, and what was done is kept."""
    out = tmp_path / "r.jsonl"
    with dask.told("hold", "tagged"):
        with pytest.raises(SystemExit):
            carried_out(pool, plan_of(2), out, check=once_begun(SystemExit(143)))
        wait_until(dask.signal("stopped", "tagged").exists)
    assert all(record.launcher == "llcsim" for record in store.load(out))
    carried_out(pool, plan_of(2), out)
    assert Counter((r.depth, r.launcher) for r in store.load(out)) == Counter(
        [(1, "native"), (2, "native"), (1, "llcsim"), (2, "llcsim")]
    )


def test_ctrl_c_finishes_what_is_under_way_and_begins_no_other(pool, once_begun, tmp_path):
    out = tmp_path / "r.jsonl"
    with pytest.raises(KeyboardInterrupt):
        carried_out(pool, plan_of(20, simulated=False), out, check=once_begun(KeyboardInterrupt()))
    assert [record.depth for record in store.load(out)] == [1]


def test_a_worker_that_cannot_simulate_is_told_and_gets_no_more(dask, pool, tmp_path):
    """As without Valgrind: its points go to another, and none is recorded as failed."""
    progress = Listening()
    with dask.told("refuses", "other"):
        found = carried_out(pool, plan_of(3), tmp_path / "r.jsonl", progress=progress)
    assert [record.status for record in found] == ["ok"] * 6
    assert by_worker(found)["other"] == []
    (note,) = [note for note in progress.notes if "gets no more to be simulated" in note]
    assert note.endswith("no simulator is here")


def test_a_scheduler_that_dies_ends_the_study_in_one_line(tmp_path, capfd):
    """Whatever Dask logs; the point that the worker had is not recorded."""
    own = LocalDask(tmp_path)
    own.worker("tagged", "--resources", f"{TAG}=1")

    def kill():
        wait_until(own.signal("begun", "tagged").exists)
        own.processes["scheduler"].kill()

    out = tmp_path / "r.jsonl"
    with own.told("hold", "tagged"), contextlib.closing(own), dask_client.connected(own.address) as made:
        killer = threading.Thread(target=kill)
        killer.start()
        pool = dask_pool.DaskPool(made, TAG, work=cluster_work.work)
        with pytest.raises(MeasurementError, match="the connection to the Dask scheduler is lost"):
            carried_out(pool, plan_of(2), out)
        killer.join()
    assert not out.exists()
    assert capfd.readouterr().err == ""


def test_a_point_that_kills_its_workers_is_given_up(pool):
    """After the third: it is not tried for ever."""
    plan = plan_of(1)
    errand = Errand.of(next(plan.tasks()), 0, plan, "run", {})
    worker = dask_workers.Worker("tcp://x", 1, tagged=True, what=pool.timing()[0])
    each = dask_pool._UnderWay(None, errand, worker)
    waiting = {}
    assert [list(pool._died(each, waiting)) for _ in range(2)] == [[], []]
    assert list(waiting) == [0]
    (answer,) = pool._died(each, waiting)
    assert answer.reason == "given up: 3 workers have died that had it, the last tcp://x"


def test_without_a_tagged_worker_it_is_refused_in_one_line(client, monkeypatch):
    monkeypatch.setattr(dask_pool, "WORKERS_WITHIN_S", 0.0)
    with pytest.raises(MeasurementError) as caught:
        dask_pool.DaskPool(client, "ELSEWHERE")
    said = str(caught.value)
    assert said.startswith("no worker with the tag ELSEWHERE has come within 0 s (2 without it are there)")
    assert f"dask worker {client.scheduler.address} --resources ELSEWHERE=1" in said
    assert "\n" not in said


def test_what_no_worker_may_do_ends_the_study(pool, monkeypatch, tmp_path):
    """The tagged ones have gone, say: what the others simulated meanwhile is kept."""
    monkeypatch.setattr(dask_pool, "WORKERS_WITHIN_S", 0.0)
    monkeypatch.setattr(dask_workers.Workers, "tagged", property(lambda self: []))
    for worker in pool._workers._there.values():
        worker.tagged = False
    out = tmp_path / "r.jsonl"
    with pytest.raises(MeasurementError, match="3 points to be timed and 0 to be simulated"):
        carried_out(pool, plan_of(3), out)
    assert [record.launcher for record in store.load(out)] == ["llcsim"] * 3


def test_a_worker_of_another_version_is_left_out(dask, client, tmp_path):
    """It carries the tag, and gets nothing; one line says why."""
    dask.worker("old", "--resources", f"{TAG}=1", version="0.0.1")
    client.wait_for_workers(3, timeout=LIMIT_S)
    progress = Listening()
    pool = dask_pool.DaskPool(client, TAG, work=cluster_work.work)
    carried_out(pool, plan_of(2), tmp_path / "r.jsonl", progress=progress)
    assert not dask.signal("begun", "old").exists()
    (note,) = [note for note in progress.notes if "left out" in note]
    assert f"formfn_profile 0.0.1 instead of {ff.__version__}" in note
    dask.processes["old"].kill()
    wait_until(lambda: len(dask_client.workers(client)) == 2)


@pytest.mark.slow
def test_a_point_is_timed_by_a_worker(client, tmp_path):
    """The real thing: the record of a network that a Dask worker timed, and of none on a second run."""
    out = tmp_path / "r.jsonl"
    asked = {
        "patterns": "standard", "depths": [1], "widths": [8], "resolutions": [8], "backends": ["torch"],
        "counters": "none", "protocol": Protocol(calls=3, seconds=0, warmup_seconds=0.1), "out": out,
        "progress": False, "executor": client, "machine_tag": TAG,
    }  # fmt: skip
    (record,) = ff.study(**asked)
    assert record.status == "ok", record.reason
    assert len(record.latency_s) >= 3
    assert record.output_error == 0  # native PyTorch is what it is compared with
    assert record.machine["cpu"] == describe().machine["cpu"]
    assert list(ff.study(**asked)) == [record]


def test_what_dask_sets_for_its_workers_is_not_measured_with(monkeypatch):
    """Its documentation, of `distributed.nanny.pre-spawn-environ`; what a user has set stays."""
    pytest.importorskip("distributed")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    dask_pool._undo_environment()
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "2"
