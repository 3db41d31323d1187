"""
What is fuzzed: each function takes any bytes and raises only where something is unhandled.

Whatever comes in must end as a value or as an error of this project, whose message a user gets.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import shutil
import socket
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from formfn_profile import store as records
from formfn_profile.errors import FormfnError
from formfn_profile.execution import Study
from formfn_profile.measuring import conditions, machine
from formfn_profile.measuring.crew import Crew, Outcome
from formfn_profile.measuring.launcher import Launcher
from formfn_profile.measuring.messages import Channel, Job
from formfn_profile.measuring.protocol import Protocol
from formfn_profile.patterns import PatternSpec
from formfn_profile.plan import Plan, Point, Task
from formfn_profile.preparation import Prepared
from formfn_profile.progress import Progress
from perfcounters import _environment, _kernel, caches, events, pmus, processor_id
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = (FormfnError, PerfCountersError)
_DEVICES = "/sys/bus/event_source/devices"


@cache
def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def store(data: bytes) -> None:
    """A file of records, packed or not by the first byte; what is read can be written again."""
    path = _folder() / ("r.jsonl.gz" if data[:1] == b"\x1f" else "r.jsonl")
    path.write_bytes(data)
    try:
        found = records.load(path)
    except OURS:
        return
    for record in found:
        json.dumps(record.to_dict(), allow_nan=False)
        hash(record.identity)


class _Files:
    """A made-up /proc and /sys in memory: what `_kernel` reads is looked up here."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def text(self, path: str) -> str | None:
        found = self.files.get(path)
        return None if found is None else found.strip()

    def names(self, folder: str) -> tuple[str, ...]:
        inside = {
            path[len(folder) + 1 :].split("/")[0] for path in self.files if path.startswith(f"{folder}/")
        }
        return tuple(sorted(inside))


@contextlib.contextmanager
def _system(files: dict[str, str]) -> Any:
    made, before = _Files(files), (_kernel.text, _kernel.names, _kernel.SYSTEM_ROOT)
    _kernel.text, _kernel.names, _kernel.SYSTEM_ROOT = made.text, made.names, Path("/none")
    try:
        yield
    finally:
        _kernel.text, _kernel.names, _kernel.SYSTEM_ROOT = before


_MACHINE = {
    f"{_DEVICES}/cpu/type": "4",
    f"{_DEVICES}/cpu/format/event": "config:0-7,32-35",
    f"{_DEVICES}/cpu/format/umask": "config:8-15",
    f"{_DEVICES}/cpu/format/offcore_rsp": "config1:0-63",
    f"{_DEVICES}/cpu/events/cache-misses": "event=0x2e,umask=0x41",
    f"{_DEVICES}/uncore_imc_0/type": "12",
    f"{_DEVICES}/uncore_imc_0/cpumask": "0,8",
    f"{_DEVICES}/uncore_imc_0/events/data_reads": "event=1",
    f"{_DEVICES}/uncore_imc_0/events/data_reads.scale": "6.103515625e-5",
    f"{_DEVICES}/uncore_imc_0/events/data_reads.unit": "MiB",
    f"{_DEVICES}/uncore_imc_0/format/event": "config:0-7",
    "/proc/cpuinfo": "vendor_id: GenuineIntel\ncpu family: 6\nmodel: 94\nmodel name: made up",
    "/proc/sys/kernel/perf_event_paranoid": "2",
}


def event_names(data: bytes) -> None:
    """Names of events on a machine that is well."""
    name = data.decode("utf-8", errors="surrogateescape")
    with _system(_MACHINE), contextlib.suppress(*OURS):
        if (found := events.resolve(name)).name != name:
            raise AssertionError(f"{name!r} became {found.name!r}")


_ASKED = (
    *("LLC-misses", "dram-bytes-read", "amd_l3-misses", "cpu/cache-misses/", "cpu/event=1,umask=2/"),
    *("uncore_imc/data_reads/", "r412e", "cycles:u", "cpu/offcore_rsp=1/"),
)


def sysfs(data: bytes) -> None:
    """Files of /proc and /sys: each line of the input is the next file's text, after a well machine's."""
    lines = data.decode("utf-8", errors="replace").split("\n")
    paths = [*_MACHINE, "/proc/self/status", "/sys/devices/system/cpu/online", f"{_DEVICES}/cpu/rdpmc"]
    changed = {path: line.replace("\r", "\n") for path, line in zip(paths, lines, strict=False) if line}
    with _system(_MACHINE | changed):
        for name in _ASKED:
            with contextlib.suppress(*OURS):
                events.resolve(name)
        for read in (
            pmus.core_types,
            pmus.user_access,
            pmus.read_in_user_space,
            _kernel.paranoid,
            _kernel.release,
        ):
            read()
        for kind in (0, 4, 12):
            pmus.cpus_of(kind)
        _environment.capability(), _environment.sandboxed(), _environment.virtual()
        processor_id.identify()
    with contextlib.suppress(*OURS):
        caches.host(_folder() / "none", lambda: data.decode("utf-8", errors="replace"))
    _files(lines)


def _files(lines: list[str]) -> None:
    """What is read by path and not through `_kernel`: cgroups, and the caches of a processor."""
    folder = _folder()
    names = (
        *("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.stat", "membership"),
        *(f"index{n}-{name}" for n in "01" for name in ("size", "type", "level")),
    )
    text = dict(zip(names, lines, strict=False))
    for name in names[:5]:
        (folder / name).write_text(text.get(name, "").replace("\r", "\n"), encoding="utf-8")
    machine.cpu_quota([folder])
    conditions.throttle_count(folder)
    conditions.cgroup_folders(folder, folder / "membership")
    for n in "01":
        index = folder / "cache" / f"index{n}"
        index.mkdir(parents=True, exist_ok=True)
        for name in ("size", "type", "level"):
            (index / name).write_text(text.get(f"index{n}-{name}", ""), encoding="utf-8")
        (index / "ways_of_associativity").write_text("8", encoding="utf-8")
        (index / "coherency_line_size").write_text("64", encoding="utf-8")
    with contextlib.suppress(*OURS):
        caches.host(folder / "cache", lambda: "")


@cache
def _study() -> tuple[Study, Task]:
    import numpy as np

    point = Point(PatternSpec("standard", depth=1, width=8, resolution=8, batch=1), "torch", 1, "f32")
    plan = Plan((point,), Protocol(calls=1, seconds=0, warmup_seconds=0), "none")
    study = Study(plan)
    study._progress = Progress(1, quiet=True)  # noqa: SLF001 - it has begun, as far as this is concerned
    np.save(_folder() / "output.npy", np.zeros(4, np.float32))
    return study, next(iter(plan.tasks()))


def protocol(data: bytes) -> None:
    """What a worker sends: messages, answers, and the record that is made of an answer."""
    study, task = _study()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        channel, more = Channel(ours), True
        crew = Crew(Launcher(), lambda *_: None)
        job = Job(0, "torch", "", 1, str(_folder() / "output.npy"))
        worker: Any = SimpleNamespace(job=job, ready=False)
        while more:
            try:
                messages, more = channel.receive_ready()
                for message in messages:
                    for outcome in crew._take(worker, message):  # noqa: SLF001 - what a crew does with each
                        _finished(study, task, outcome)
            except OURS:
                return


def _finished(study: Study, task: Task, outcome: Outcome) -> None:
    _, record = study._finish(task, Prepared(), outcome, 0.0)  # noqa: SLF001 - what a study does with it
    json.dumps(record.to_dict(), allow_nan=False)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "store": store,
    "events": event_names,
    "sysfs": sysfs,
    "protocol": protocol,
}

_RECORD = {
    "schema": 2, "status": "ok", "run_id": "r", "time": "2026-01-01T00:00:00+00:00", "launcher": "native",
    "network": "standard", "pattern": "standard", "depth": 1, "backend": "torch", "precision": "f32",
    "threads": 1, "latency_s": [0.5, 0.25], "machine_cpu": "one", "kernels": {"conv": 1},
    "counts": [{"event": "LLC-misses", "samples": [1, None], "source": "simulated", "cache": "paper"}],
    "layers": [{"name": "a", "seconds": 0.1}],
}  # fmt: skip
_RESULT = {
    "load_s": 0.1, "first_s": 0.1, "warmup_s": [0.1], "settled": True, "latency_s": [0.5],
    "conditions": {"others_cpus": 0.0}, "counts": _RECORD["counts"], "curve": [{"misses": 1}],
    "layers": [{"name": "a", "modules": ["a"], "seconds": 0.1, "counts": {}}],
    "facts": {"device": "CPU", "precision": "f32", "threads": 1, "kernels": {"conv": 1}},
}  # fmt: skip
SEEDS: dict[str, tuple[bytes, ...]] = {
    "store": (json.dumps(_RECORD).encode() + b"\n", b"\x1f\x8b\x08\x00"),
    "events": tuple(name.encode() for name in (*_ASKED, "mem:0x7ffd0000/8:rw:u", "page-faults:k")),
    "sysfs": (
        "\n".join(text.replace("\n", "\r") for text in _MACHINE.values()).encode(),
        b'{"caches": [{"level": 1}]}',
    ),
    "protocol": (
        b'{"kind": "ready", "pid": 1}\n'
        + json.dumps({"kind": "done", "job": 0, "result": _RESULT}).encode()
        + b"\n",
        b'{"kind": "failed", "job": 0, "reason": "none"}\n',
    ),
}
"""Inputs to begin with, one or more a target."""
