"""A crew whose workers run this project's protocol with a stand-in for a network: what each fault costs."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formfn_profile import execution
from formfn_profile.measuring import crew, messages
from formfn_profile.measuring.crew import Crew, Outcome
from formfn_profile.measuring.launcher import Launcher, Settings
from formfn_profile.measuring.messages import Channel, Job, MessageError
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.patterns import PatternSpec
from formfn_profile.plan import Plan, Point
from formfn_profile.preparation import Prepared
from formfn_profile.progress import Progress
from perfcounters import caches

PROGRAM = """
import os, resource, signal, sys, time
from formfn_profile import backends
from formfn_profile.measuring import worker
backends.get("torch").__class__.imports = lambda self: None
socket = int(sys.argv[sys.argv.index("--fd") + 1])
def run(job, stage):
    if job.id == 0:
        fault(stage)
    return {"answer": job.id}
worker.run = run
started = os.getpid()
def fault(stage):
    %s
%s
sys.exit(worker.main())
"""


@pytest.fixture(params=[None, Protocol()], ids=["untimed", "timed"])
def outcomes(request, tmp_path, monkeypatch):
    """
    Give two jobs to workers of which the first has a fault, and return what became of both. Timed ones are
    done by children of the worker.
    """
    monkeypatch.setattr(crew, "_LOOK_S", 0.05)

    def run(fault, *, at_import="", time_limit=None):
        program = tmp_path / "worker.py"
        program.write_text(PROGRAM % (fault, at_import))
        jobs = [Job(number, "torch", "", 1, "", timing=request.param) for number in range(2)]
        with Crew(
            Launcher(program=(sys.executable, str(program))), lambda job, stage: None, time_limit=time_limit
        ) as made:
            return list(made.run(jobs))

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault, said",
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL (the kernel's out-of-memory killer"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("print('last words'); sys.stdout.flush(); os._exit(7)", "status 7; it printed: last words"),
        ("sys.exit(5)", "ended by itself with exit status 5"),
        ("raise ValueError('of the model')", "ValueError: of the model"),
        ("os.write(socket, b'nonsense\\n')", "sent what is no message: b'nonsense'"),
        ("os.write(socket, b'[' * 100000 + b'\\n')", "sent what is no message"),
        ("""os.write(socket, b'{"kind": "done", "job": 0, "result": 5}\\n')""", "sent no answer"),
        ("os.close(socket) if os.getpid() == started else os._exit(0)", "the worker ended by itself"),
    ],
)
def test_a_fault_costs_its_point_alone(fault, said, outcomes):
    """The reason is told, and the point after it is measured by a new worker where the first is gone."""
    first, second = outcomes(fault)
    assert first.result is None
    assert said in first.reason
    assert second.result == {"answer": 1}


@pytest.mark.parametrize("outcomes", [Protocol()], indirect=True)
def test_each_timed_job_has_a_child_of_its_own(outcomes):
    """Which answers for the process it is: not the worker, and not that of the job before."""
    whose = "worker.run = lambda job, stage: {'answer': [os.getpid(), os.getppid()]}"
    (first, worker), (second, same_worker) = (
        one.result["answer"] for one in outcomes("pass", at_import=whose)
    )
    assert worker == same_worker
    assert len({first, second, worker}) == 3


MEET = """
import pathlib
here = pathlib.Path(__file__).parent
def run(job, stage):
    (here / str(job.id)).touch()
    until = time.monotonic() + (60 if PROCESSES > 1 else 0)
    while not (here / str(1 - job.id)).exists() and time.monotonic() < until:
        time.sleep(0.01)
    return {"answer": os.getpid()}
worker.run = run
"""


@pytest.mark.parametrize("alike, room, processes", [(2, 0, 2), (1, 0, 1), (2, 1 << 60, 1)])
def test_a_backend_has_as_many_workers_as_it_may(alike, room, processes, tmp_path, monkeypatch):
    """Two jobs that wait for each other meet, in two processes; one alone, or no memory, does both in one."""
    monkeypatch.setattr(crew, "_ROOM", room)
    program = tmp_path / "worker.py"
    program.write_text(PROGRAM % ("pass", MEET.replace("PROCESSES", str(processes))))
    jobs = [Job(number, "torch", "", 1, "") for number in range(2)]
    with Crew(Launcher(program=(sys.executable, str(program))), lambda job, stage: None) as made:
        answers = {one.result["answer"] for one in made.run(jobs, slots=2, alike=alike)}
    assert len(answers) == processes


@pytest.mark.parametrize("cpus, fixed, slots, alike", [(1, False, 1, 1), (8, False, 8, 4), (8, True, 8, 1)])
def test_simulated_points_share_the_cpus(cpus, fixed, slots, alike, monkeypatch):
    """Each has two threads; a fixed layout needs a backend's points in one process, in their order."""
    monkeypatch.setattr("formfn_profile.plan.usable_cpus", lambda: cpus)
    points = (Point(PatternSpec("standard", depth=1, width=8, resolution=8, batch=1), "torch"),)
    settings = Settings(fixed_layout=fixed)
    _, simulated = Plan(points, Protocol(), "simulated", caches.resolve("paper"), settings=settings).phases()
    assert (simulated.slots, simulated.alike) == (slots, alike)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["time.sleep(600)", "os.kill(os.getpid(), signal.SIGSTOP)", "while True: stage('babble')"]
)
def test_a_hung_worker_is_given_up_at_the_time_limit(fault, outcomes):
    """Asleep, stopped, or busy telling stages."""
    first, second = outcomes(fault, time_limit=3.0)
    assert first.reason == "given up: it took longer than the time limit of 3 s"
    assert second.result == {"answer": 1}


def test_no_memory_is_a_reason(outcomes):
    """An address space of 1 GiB (RLIMIT_AS) and an array of 2: the worker says so and goes on."""
    limit = "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); bytearray(1 << 31)"
    first, second = outcomes(limit)
    assert first.reason == "the memory did not suffice"
    assert second.result == {"answer": 1}


def test_what_a_model_prints_is_no_message(outcomes):
    """To Python's stdout, to its descriptor and to stderr, looking like an answer."""
    answer = json.dumps({"kind": "done", "job": 0, "result": {"answer": "printed"}})
    raw = f"{answer}\n".encode()
    printed = f"print({answer!r}); os.write(1, {raw!r}); os.write(2, b'x' * 100000)"
    assert [one.result for one in outcomes(printed)] == [{"answer": 0}, {"answer": 1}]


@pytest.mark.parametrize("dies", [False, True])
def test_a_plugin_that_forks_at_import(dies, outcomes, tmp_path):
    """Its child holds the socket open; nobody waits for it, and it does not outlive the run."""
    pid = tmp_path / "pid"
    forks = f"child = os.fork()\nif child == 0: time.sleep(600)\nopen({str(pid)!r}, 'w').write(str(child))"
    first, second = outcomes("os._exit(3)" if dies else "pass", at_import=forks)
    assert (first.result is None) == dies
    assert second.result == {"answer": 1}
    with contextlib.suppress(psutil.NoSuchProcess):
        child = psutil.Process(int(pid.read_text()))
        while child.status() != psutil.STATUS_ZOMBIE:  # SIGKILL takes its time; a test's has a limit
            time.sleep(0.01)


def test_workers_that_cannot_start_are_not_started_for_ever(outcomes):
    """As with a library that does not load: the second death while starting ends the trials."""
    first, second = outcomes("pass", at_import="sys.exit('libmissing.so: cannot open')")
    assert "libmissing.so: cannot open" in first.reason
    assert "libmissing.so: cannot open" in second.reason


@pytest.mark.slow
def test_an_endless_message_is_given_up(outcomes, monkeypatch):
    """It would fill the parent's memory."""
    monkeypatch.setattr(messages, "_LONGEST", 1 << 20)
    first, second = outcomes("while True: os.write(socket, b'x' * 4096)")
    assert "without the end of a message" in first.reason
    assert second.result == {"answer": 1}


def test_a_clock_set_back_changes_no_limit(outcomes, monkeypatch):
    """Limits go by the monotonic clock: the time of day falls by a year at each look."""
    year = 365 * 86400.0
    days = iter(range(1_000_000))
    monkeypatch.setattr(time, "time", lambda: 1e9 - year * next(days))
    assert [one.result for one in outcomes("pass", time_limit=30.0)] == [{"answer": 0}, {"answer": 1}]


def finished(tmp_path, outcome, reference=None, precision="f32"):
    """The record that a study makes of a job's outcome."""
    point = Point(PatternSpec("standard", depth=1, width=8, resolution=8, batch=1), "torch", 1, precision)
    plan = Plan((point,), Protocol(calls=1, seconds=0, warmup_seconds=0), "none")
    made = execution.Study(plan)
    made._progress = Progress(1, quiet=True)
    _, record = made._finish(next(iter(plan.tasks())), Prepared(reference=reference), outcome, 0.0)
    return record


@pytest.mark.parametrize("precision", execution.OUTPUT_LIMITS)
def test_no_output_at_all_is_refused_in_every_precision(precision, tmp_path):
    """Zeros are off by the largest value itself: an error of 1."""
    np.save(tmp_path / "output.npy", np.zeros(2, np.float32))
    job = Job(0, "torch", "", 1, str(tmp_path / "output.npy"))
    record = finished(tmp_path, Outcome(job, {"latency_s": [0.5]}), np.float32([1.0, 0.5]), precision)
    assert (record.status, record.output_error) == ("failed", 1.0)
    assert "off native PyTorch's by 1 of its largest value" in record.reason


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("reference", [None, 1.0, float("nan")])
def test_outputs_without_numbers_are_no_result(number, reference, tmp_path):
    """Whether or not there is an output to compare with, and whatever that is."""
    np.save(tmp_path / "output.npy", np.array([1.0, number], np.float32))
    job = Job(0, "torch", "", 1, str(tmp_path / "output.npy"))
    truth = None if reference is None else np.array([1.0, reference], np.float32)
    record = finished(tmp_path, Outcome(job, {"latency_s": [0.5]}), truth)
    assert record.status == "failed"
    assert "the output holds NaN or infinite numbers" in record.reason
    assert record.output_error is None


@pytest.mark.parametrize(
    "result, said",
    [
        ({"latency_s": 0.5}, "not iterable"),
        ({"latency_s": ["soon"]}, "latency_s is ('soon',)"),
        ({"counts": [{"name": "LLC-misses"}]}, "missing"),
        ({"facts": ["torch"]}, "list"),
        ({"layers": [{"name": "a"}]}, "modules"),
    ],
)
def test_an_answer_of_another_version_is_a_failed_record(result, said, tmp_path):
    """`--against` may have another version's worker: its point fails, and the study goes on."""
    np.save(tmp_path / "output.npy", np.zeros(2, np.float32))
    record = finished(tmp_path, Outcome(Job(0, "torch", "", 1, str(tmp_path / "output.npy")), result))
    assert record.status == "failed"
    assert record.reason.startswith("the worker's answer is no result: ")
    assert said in record.reason
    missing = finished(tmp_path, Outcome(Job(0, "torch", "", 1, str(tmp_path / "none.npy")), {}))
    assert "No such file" in missing.reason


@pytest.mark.slow
@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()), max_size=5), st.data())
def test_messages_arrive_whole_however_they_are_cut(sent, data):
    """A stream socket may hand over any piece of what was sent."""
    stream = b"".join(json.dumps(message).encode() + b"\n" for message in sent)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel, found = Channel(ours), []
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            theirs.sendall(stream[:size])
            stream = stream[size:]
            found += channel.receive_ready()[0]
        assert found == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_a_fault_of_the_worker(stream):
    """Whatever comes, the parent gets mappings or `MessageError`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(stream)
        theirs.shutdown(socket.SHUT_WR)
        channel = Channel(ours)
        with contextlib.suppress(MessageError):
            while True:
                found, more = channel.receive_ready()
                assert all(isinstance(message, dict) for message in found)
                if not more:
                    break
