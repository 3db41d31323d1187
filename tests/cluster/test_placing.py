"""Which worker may have what, what is done already, and what an answer must be: with no worker at all."""

from __future__ import annotations

import pytest
from cluster_work import Listening, machine_of, plan_of

import formfn_profile as ff
from formfn_profile import gather, models
from formfn_profile.cluster import dask_workers
from formfn_profile.cluster.dispatch import Answer, Dispatch, Pool
from formfn_profile.cluster.errand import Description, Errand
from formfn_profile.errors import MeasurementError, NetworkError, ResultsError
from formfn_profile.execution import record_of
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.plan import Plan
from formfn_profile.reporting import content

TAG = "MEANT"


def worker(name, *, tagged=False, threads=1, boot=None, **machine):
    return dask_workers.Worker(name, threads, tagged, Description(machine, boot or name))


def workers(*several):
    made = dask_workers.Workers(None, TAG)
    made._there = {each.address: each for each in several}
    return made


def errand(number=0, *, tied, **versions):
    plan = plan_of(1)
    return Errand(number, plan, "timed" if tied else "simulated", 0, tied, "run", versions)


def test_two_tagged_workers_of_one_machine_time_one_point():
    """Dask's resource would let each have one."""
    a, b, far = (
        worker("a", tagged=True, boot="1"),
        worker("b", tagged=True, boot="1"),
        worker("c", tagged=True),
    )
    several = workers(a, b, far)
    under_way = [(errand(tied=True), a)]
    assert several.free_for(errand(1, tied=True), under_way, timing=True) is far
    under_way.append((errand(1, tied=True), far))
    assert several.free_for(errand(2, tied=True), under_way, timing=True) is None


def test_nothing_is_simulated_beside_what_is_timed():
    """Neither on the tagged worker nor on another of its machine; elsewhere as many as there are threads."""
    timer, beside, far = worker("a", tagged=True, boot="1"), worker("b", boot="1"), worker("c", threads=2)
    several = workers(timer, beside, far)
    under_way = []
    for number in range(3):
        under_way.append((errand(number, tied=False), far))
        chosen = several.free_for(errand(9, tied=False), under_way, timing=True)
        assert chosen is (far if number == 0 else None)
    assert several.free_for(errand(9, tied=False), under_way, timing=False) in (timer, beside)


def test_a_point_waits_until_what_is_simulated_on_its_machine_is_done():
    """It was begun before the tagged worker came, say."""
    timer, beside = worker("a", tagged=True, boot="1"), worker("b", boot="1")
    several = workers(timer, beside)
    assert several.free_for(errand(tied=True), [(errand(1, tied=False), beside)], timing=True) is None
    assert several.free_for(errand(tied=True), [], timing=True) is timer


def test_a_worker_with_another_torch_gets_no_point_of_the_study():
    """Records of the two would be compared; what a backend does not use makes no difference."""
    several = workers(worker("a", tagged=True, torch="2.12", onnxruntime=None))
    assert several.free_for(errand(tied=True, torch="2.13"), [], timing=True) is None
    assert several.free_for(errand(tied=True, torch="2.12"), [], timing=True)
    assert several.free_for(errand(tied=True, torch="2.12", onnxruntime="1.3"), [], timing=True) is None


def test_an_errand_asks_for_the_versions_that_its_backend_is_measured_with():
    always = {"torch": "2.13", "openvino": "2026.4", "formfn_profile": "0.1"}
    versions = {**always, "onnxruntime": "1.32", "nncf": "3.2"}
    plan = plan_of(1)
    made = Errand.of(next(plan.tasks()), 0, plan, "run", versions)
    assert made.versions == always


def test_a_tag_on_another_kind_of_machine_is_left_out():
    several = workers()
    several.first = Description({"cpu": "one", "cpus": 4, "formfn_profile": ff.__version__}, "1")
    like = Description({**several.first.machine, "memory_bytes": 1}, "2")
    other = Description({**several.first.machine, "cpu": "two"}, "3")
    assert several._unfit(like, tagged=True) is None
    assert several._unfit(other, tagged=False) is None
    assert "another kind than the first" in several._unfit(other, tagged=True).replace(
        "of another", "another"
    )
    assert "Install it there" in several._unfit(
        ModuleNotFoundError("No module named 'formfn_profile'"), tagged=False
    )


class Doing(Pool):
    """A pool on made-up machines that answers each errand as it is told."""

    def __init__(self, *machines, answer=None):
        self.machines = machines
        self.answer = answer

    def ask(self, function, *arguments, **named):
        return function(*arguments, **named)

    def timing(self):
        return [Description(machine, str(machine)) for machine in self.machines]

    def allow_timing(self):
        raise MeasurementError("not here")

    def run(self, errands, check, progress):
        for each in errands:
            yield Answer(each, self.machines[0], self.answer)


def test_what_is_simulated_is_done_wherever_it_was_what_is_timed_only_there():
    """With the same software: another version of PyTorch has it done again."""
    plan = plan_of(1)
    timed, simulated = plan.tasks()
    earlier = [record_of(task, plan, "before", machine_of("far")) for task in (timed, simulated)]
    assert Dispatch(Doing(machine_of("far")), plan, earlier).left == []
    with pytest.raises(MeasurementError, match="not here"):  # there is something to be timed
        Dispatch(Doing(machine_of("near")), plan, earlier)
    near = record_of(timed, plan, "before", machine_of("near"))
    assert Dispatch(Doing(machine_of("near")), plan, [*earlier, near]).left == []
    newer = record_of(timed, plan, "before", machine_of("near", "2.14"))
    assert Dispatch(Doing(machine_of("near", "2.14")), plan, [*earlier, newer]).left == [simulated]
    failed = record_of(simulated, plan, "before", machine_of("near"), status="failed")
    assert Dispatch(Doing(machine_of("near")), plan, [near, failed]).left == [simulated]


@pytest.mark.parametrize(
    "answer, said",
    [({"schema": 2}, "the worker's answer is no record"), ("other", "a record of something else")],
)
def test_what_a_worker_sends_is_a_record_of_its_errand_or_fails(answer, said):
    plan = plan_of(2)
    machine = machine_of("near")
    tasks = [task for task in plan.tasks() if not task.phase.tied]
    records = [record_of(task, plan, "before", machine) for task in plan.tasks() if task.phase.tied]
    if answer == "other":
        answer = record_of(tasks[1], plan, "run", machine).to_dict()
    study = Dispatch(Doing(machine, answer=answer), plan, records)
    first, second = (record for _, record in study.records(Listening()))
    assert first.status == "failed"
    assert said in first.reason
    assert second.status == ("failed" if answer == {"schema": 2} else "ok")


def test_another_interpreter_takes_no_turns_with_a_cluster():
    plan = Plan(plan_of(1).points, Protocol(), "none", against="python3")
    with pytest.raises(MeasurementError, match="Leave one of the two out"):
        Dispatch(Doing(machine_of("near")), plan)


def test_a_file_that_is_another_one_there_is_not_measured(tmp_path):
    """On a worker the path may lead to another file."""
    file = tmp_path / "net.onnx"
    file.write_bytes(b"one")
    spec = models.resolve(str(file), [models.Input((1, 3, 8, 8))])
    file.write_bytes(b"two")
    with pytest.raises(NetworkError, match="is another file than the one that was named"):
        models.build(spec)


def test_records_are_of_the_machine_that_timed_them():
    """Whatever machines simulated; two that timed are still too many."""
    plan = plan_of(1)
    timed, simulated = plan.tasks()
    near, far = machine_of("near"), machine_of("far")
    assert (
        len(gather.one_machine([record_of(timed, plan, "", near), record_of(simulated, plan, "", far)])) == 2
    )
    with pytest.raises(ResultsError, match="2 machines"):
        gather.one_machine([record_of(timed, plan, "", near), record_of(timed, plan, "", far)])


def test_a_report_names_the_machine_that_timed():
    """The file may begin with what another one simulated."""
    plan = plan_of(1)
    timed, simulated = plan.tasks()
    records = [
        record_of(simulated, plan, "", machine_of("far")),
        record_of(timed, plan, "", machine_of("near")),
    ]
    assert content._timed_on(records)["cpu"] == "near"
    assert content._timed_on(records[:1])["cpu"] == "far"
