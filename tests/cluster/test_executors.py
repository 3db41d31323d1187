"""Studies on any executor, and what is refused before one is reached."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import cluster_work
import pytest
from cluster_work import carried_out, overlapping, plan_of

from formfn_profile import cluster, store, study_command
from formfn_profile.cluster import dask_client, plain
from formfn_profile.errors import MeasurementError


def test_an_executor_may_not_time_unless_that_is_said():
    with ThreadPoolExecutor(2) as executor:
        pool = plain.PlainPool(executor, work=cluster_work.work)
        with pytest.raises(MeasurementError, match="Say timed_anywhere=True if all its workers"):
            pool.study(plan_of(1), [], lambda: None)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_an_executor_times_one_point_at_a_time_and_nothing_beside_it(kind, monkeypatch, tmp_path):
    monkeypatch.setenv(cluster_work.FOLDER, str(tmp_path))
    out = tmp_path / "r.jsonl"
    with kind(2) as executor:
        pool = plain.PlainPool(executor, timed_anywhere=True, work=cluster_work.work)
        found = carried_out(pool, plan_of(3), out)
        assert carried_out(pool, plan_of(3), out) == []
    assert [record.launcher for record in found] == ["native"] * 3 + ["llcsim"] * 3
    timed = [record for record in found if record.launcher == "native"]
    assert overlapping(timed) == []
    last = max(record.conditions["ended"] for record in timed)
    assert all(record.conditions["begun"] > last for record in found if record.launcher == "llcsim")


def test_a_broken_executor_keeps_what_was_done(monkeypatch, tmp_path):
    """A process of the pool dies at the third point; a new pool does that and the rest."""
    monkeypatch.setenv(cluster_work.FOLDER, str(tmp_path))
    out = tmp_path / "r.jsonl"
    plan = plan_of(4, simulated=False)

    def check():
        if out.read_bytes().count(b"\n") == 2:
            cluster_work.path("dies", "here").touch()

    with ProcessPoolExecutor(1) as executor:
        pool = plain.PlainPool(executor, timed_anywhere=True, work=cluster_work.work)
        with pytest.raises(MeasurementError, match="the executor is broken"):
            carried_out(pool, plan, out, check=check)
    assert [record.depth for record in store.load(out)] == [1, 2]
    cluster_work.path("dies", "here").unlink()
    with ProcessPoolExecutor(1) as executor:
        carried_out(plain.PlainPool(executor, timed_anywhere=True, work=cluster_work.work), plan, out)
    assert [record.depth for record in store.load(out)] == [1, 2, 3, 4]


def test_ctrl_c_takes_back_what_an_executor_has_not_begun(monkeypatch, tmp_path):
    monkeypatch.setenv(cluster_work.FOLDER, str(tmp_path))
    hold = cluster_work.path("hold", "here")
    hold.touch()
    out = tmp_path / "r.jsonl"

    def check():
        if cluster_work.path("begun", "here").exists():
            hold.unlink(missing_ok=True)
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor:
        pool = plain.PlainPool(executor, timed_anywhere=True, work=cluster_work.work)
        with pytest.raises(KeyboardInterrupt):
            carried_out(pool, plan_of(9, simulated=False), out, check=check)
    assert len(store.load(out)) == 1


def test_an_executor_whose_workers_do_not_answer(monkeypatch):
    monkeypatch.setattr(plain, "ANSWERS_WITHIN_S", 0.05)
    ended = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(ended.wait)
        with pytest.raises(MeasurementError, match=r"answered within 0\.05 s"):
            plain.PlainPool(executor)
        ended.set()


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"machine_tag": "A"}, "there is no executor"),
        ({"executor": "dask://h:1"}, "name the tag of those that may time"),
        ({"executor": "dask://h:1", "machine_tag": "A", "timed_anywhere": True}, "name the tag"),
        ({"executor": "slurm://h:1", "machine_tag": "A"}, "there is no executor 'slurm://h:1'"),
        ({"executor": 5, "machine_tag": "A"}, "cannot measure on 5"),
    ],
)
def test_what_does_not_go_together_is_refused(asked, said):
    with pytest.raises(MeasurementError, match=said), cluster.opened(**{"executor": None, **asked}):
        pytest.fail("opened")


def test_a_tag_says_nothing_to_an_executor():
    with ThreadPoolExecutor(1) as executor:  # noqa: SIM117 - the executor is not what raises
        with pytest.raises(MeasurementError, match="carry no tag"), cluster.opened(executor, "A"):
            pytest.fail("opened")


STUDY = ["--pattern", "standard", "--machine-tag", "A", "--executor"]


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask_client, "CONNECT_WITHIN_S", 0.2)
    assert study_command.main([*STUDY, "dask://127.0.0.1:1"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        "python -m formfn_profile study: no Dask scheduler answered at 127.0.0.1:1 within 0.2 s."
        " Start one there: dask scheduler --port 1"
    )


def test_a_missing_extra_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert study_command.main([*STUDY, "dask://127.0.0.1:1"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith("Run: pip install 'formfn-profile[cluster]'")
