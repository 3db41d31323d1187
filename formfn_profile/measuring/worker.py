"""
The worker: `python -m formfn_profile.measuring.worker --fd N`.

Reads jobs from the socket N, answers on it, and ends when the other end closes. The same program
natively and under llcsim; a job says what to do, the launcher where. Answers: {"kind": "ready"},
{"kind": "stage", "job", "stage"}, {"kind": "done", "job", "result"}, {"kind": "failed" or "skipped",
"job", "reason"}. What libraries print goes to the standard streams and cannot touch the socket.

A timed job runs in a forked child, whose heap has seen nothing but imports. glibc adapts to the buffers that
are freed: how much memory PyTorch gives back and asks for again at every call, and so its latency, would
otherwise depend on the networks measured before.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from formfn_profile.errors import FormfnError, UnavailableError
from formfn_profile.measuring.messages import Channel, CountingJob, Job
from formfn_profile.measuring.protocol import Protocol, timed, warm_up

if TYPE_CHECKING:
    from formfn_profile.backends import Session
    from formfn_profile.results import Count

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>

Stage = Callable[[str], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Serve jobs until the parent closes the socket."""
    parser = argparse.ArgumentParser(prog="formfn_profile.measuring.worker", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the socket to the parent")
    parser.add_argument(
        "--parent", type=int, default=None, help="process id of the parent, whose death ends this"
    )
    options = parser.parse_args(argv)
    if options.parent is not None:
        die_with(options.parent)
    end = socket.socket(fileno=options.fd)
    end.set_inheritable(False)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(Channel(end))
    return 0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, even in the middle of a call."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(1)


def serve(channel: Channel) -> None:
    """Answer each job that comes, until none can come any more."""
    channel.send({"kind": "ready", "pid": os.getpid()})
    while (message := channel.receive()) is not None:
        job = Job.from_dict(message)

        def stage(name: str, number: int = job.id) -> None:
            channel.send({"kind": "stage", "job": number, "stage": name})

        channel.send(_in_a_child(job, stage) if job.timing else _answer(job, stage))


def _answer(job: Job, stage: Stage) -> dict[str, Any]:
    try:
        return {"kind": "done", "job": job.id, "result": run(job, stage)}
    except UnavailableError as error:
        return {"kind": "skipped", "job": job.id, "reason": str(error)}
    except FormfnError as error:
        return {"kind": "failed", "job": job.id, "reason": str(error)}
    except MemoryError as error:
        said = f": {error}" if str(error) else ""
        return {"kind": "failed", "job": job.id, "reason": f"the memory did not suffice{said}"}
    except Exception as error:  # noqa: BLE001 - whatever a backend raises costs its point and no other
        return {"kind": "failed", "job": job.id, "reason": f"{type(error).__name__}: {error}"}


def _in_a_child(job: Job, stage: Stage) -> dict[str, Any]:
    """Answer a job from a child; where that dies without an answer, die as it did."""
    from formfn_profile import backends

    with contextlib.suppress(Exception):  # the child meets it too, and tells
        backends.get(job.backend).imports()
    parent = os.getpid()
    ours, theirs = Pipe(duplex=False)
    child = os.fork()
    if not child:
        die_with(parent)
        os._exit(_send(theirs, job, stage))
    theirs.close()
    with ours:
        try:
            answer: dict[str, Any] = json.loads(ours.recv_bytes())
        except EOFError:
            _end_as(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.waitpid(child, 0)
    return answer


def _send(end: Connection, job: Job, stage: Stage) -> int:
    """Send the answer and return the exit status."""
    status = 0
    try:
        end.send_bytes(json.dumps(_answer(job, stage)).encode())
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last words, for the parent to read
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    return status


def _end_as(status: int) -> NoReturn:
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(max(status, 0))


def run(job: Job, stage: Stage) -> dict[str, Any]:
    """Do one job and return its result as a JSON-ready mapping."""
    import numpy as np

    from formfn_profile import backends
    from formfn_profile.measuring import counting

    result: dict[str, Any] = {}
    stage("load")
    started = time.perf_counter()
    session = backends.get(job.backend).load(Path(job.prepared), threads=job.threads, precision=job.precision)
    loaded = time.perf_counter()
    if job.timing:
        session.infer()
        result |= {"load_s": loaded - started, "first_s": time.perf_counter() - loaded}
    else:  # emulated, an inference takes long: that of the facts, if they make one, serves as the first
        result["facts"] = session.facts()
    np.save(job.output, session.output())
    if job.timing:
        stage(
            "warm-up and timing"
        )  # said before the warm-up: nobody draws a progress bar during the timed calls
        result |= _time(session, job.timing)
        if again := job.timing.for_end_to_end:
            result["end_to_end_s"] = _end_to_end(session, again)
    if job.counting:
        stage(f"{job.counting.source} counts")
        counts, result["curve"] = _count(session.infer, job.counting)
        if backends.get(job.backend).device.startswith("GPU") and job.counting.source == "hardware":
            counts += counting.package(session.infer, job.counting.calls)
        result["counts"] = [asdict(count) for count in counts]
    if job.layers and (job.timing or backends.get(job.backend).layers_countable):
        stage("layers")
        result["layers"] = _layers(job)
    if job.timing:
        result["facts"] = session.facts()
    return result


def _time(session: Session, protocol: Protocol) -> dict[str, Any]:
    from formfn_profile.measuring.conditions import Watch

    warmup = warm_up(session.infer, protocol)
    watch = Watch()
    latency_s = timed(session.infer, protocol)
    return {
        "warmup_s": warmup.samples_s,
        "settled": warmup.settled,
        "latency_s": latency_s,
        "conditions": watch.conditions().to_dict(),
    }


def _end_to_end(session: Session, protocol: Protocol) -> tuple[float, ...]:
    """Time what a program sees: values copied into the inputs, the inference, the output copied out."""
    arrays = session.inputs()

    def call() -> None:
        session.set_input(*arrays)
        session.infer()
        session.output()

    call()
    return timed(call, protocol)


def _layers(job: Job) -> list[dict[str, object]]:
    from formfn_profile import backends
    from formfn_profile.measuring import counting

    with counting.reader(job.counting.source if job.counting else None) as read:
        return backends.get(job.backend).layers(
            Path(job.prepared), threads=job.threads, precision=job.precision, calls=job.layers, read=read
        )


def _count(call: Callable[[], None], job: CountingJob) -> tuple[list[Count], list[dict[str, object]]]:
    from formfn_profile.measuring import counting

    if job.source == "simulated":
        return counting.simulated(call, job.calls)
    return counting.hardware(call, job.calls, job.events or counting.HARDWARE_EVENTS), []


if __name__ == "__main__":
    sys.exit(main())
