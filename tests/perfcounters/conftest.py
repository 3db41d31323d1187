"""A kernel and a machine made of files, under the one seam to both."""

import itertools
import os

import pytest

from perfcounters import _kernel

_DEVICES = "sys/bus/event_source/devices"


class FakeMachine:
    """Files of a made-up /proc and /sys."""

    def __init__(self, root):
        self.root = root

    def file(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return self

    def pmu(self, name, kind, *, formats=None, events=None, **files):
        self.file(f"{_DEVICES}/{name}/type", f"{kind}\n")
        for folder, entries in (("format", formats or {}), ("events", events or {})):
            for entry, text in entries.items():
                self.file(f"{_DEVICES}/{name}/{folder}/{entry}", f"{text}\n")
        for entry, text in files.items():
            self.file(f"{_DEVICES}/{name}/{entry}", f"{text}\n")
        return self

    def paranoid(self, level):
        return self.file("/proc/sys/kernel/perf_event_paranoid", f"{level}\n")

    def cpuinfo(self, **fields):
        lines = [
            f"{key.replace('_', ' ') if key != 'vendor_id' else key}\t: {value}"
            for key, value in fields.items()
        ]
        return self.file("/proc/cpuinfo", "processor\t: 0\n" + "\n".join(lines) + "\n")


class FakeKernel:
    """
    Answers to system calls: opens are recorded, refused on demand, and read what a test writes.

    `answers` gives, read by read, for each descriptor (enabled, running, value).
    """

    def __init__(self, monkeypatch):
        self.opened = []  # (encoding, flags, pid, cpu, group_fd) of each open
        self.refuse = lambda encoding, flags, group_fd: None
        self.groups = {}
        self.live = set()
        self.encodings = {}  # of every descriptor ever opened
        self.answers = lambda fd, turn: (1000 * turn, 1000 * turn, 10 * turn)
        self.turn = 0
        self._fds = itertools.count(1000)
        for name in ("open_event", "event_id", "enable", "close"):
            monkeypatch.setattr(_kernel, name, getattr(self, name))
        monkeypatch.setattr("perfcounters._session.GroupReader", self._reader)

    def fails(self, number):
        self.refuse = lambda encoding, flags, group_fd: number
        return self

    def open_event(self, encoding, *, flags, pid, cpu=-1, group_fd=-1):
        self.opened.append((encoding, flags, pid, cpu, group_fd))
        number = self.refuse(encoding, flags, group_fd)
        if number:
            raise OSError(number, os.strerror(number))
        fd = next(self._fds)
        self.live.add(fd)
        self.encodings[fd] = encoding
        self.groups.setdefault(group_fd if group_fd != -1 else fd, []).append(fd)
        return fd

    def event_id(self, fd):
        return fd * 7

    def enable(self, leader):
        assert leader in self.groups

    def close(self, fd):
        self.live.remove(fd)

    def _reader(self, leaders, ids, mapped=()):
        kernel = self

        class Reader:
            offsets = tuple(itertools.accumulate((3 + 2 * len(group) for group in ids), initial=0))
            target = leaders

            def new_buffer(self):
                return []

            def read_into(self, leaders, words):
                kernel.turn += 1
                words.clear()
                for leader in leaders:
                    members = kernel.groups[leader]
                    enabled, running, _ = kernel.answers(leader, kernel.turn)
                    values = [kernel.answers(fd, kernel.turn)[2] for fd in members]
                    pairs = list(zip(values, [7 * fd for fd in members], strict=True))
                    # In another order than they were opened in: only ids tell them apart.
                    words += [len(members), enabled, running, *itertools.chain(*reversed(pairs))]
                return 0

            def words(self, buffer):
                return buffer

            def unmap(self):
                pass

        return Reader()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """An empty machine: no PMU, no /proc; perf_event_paranoid is 2."""
    monkeypatch.setattr(_kernel, "SYSTEM_ROOT", tmp_path)
    return FakeMachine(tmp_path).paranoid(2)


@pytest.fixture
def kernel(monkeypatch):
    """A kernel that opens everything."""
    return FakeKernel(monkeypatch)


INTEL_FORMATS = {
    "event": "config:0-7",
    "umask": "config:8-15",
    "edge": "config:18",
    "inv": "config:23",
    "cmask": "config:24-31",
    "offcore_rsp": "config1:0-63",
}
INTEL_EVENTS = {
    "cache-misses": "event=0x2e,umask=0x41",
    "cache-references": "event=0x2e,umask=0x4f",
    "instructions": "event=0xc0",
    "cpu-cycles": "event=0x3c",
}


@pytest.fixture
def skylake(machine):
    """A Skylake client, as the kernel's ABI documents describe its files."""
    machine.cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=94, model_name="Intel(R) Core(TM) i5-6500")
    return machine.pmu("cpu", 4, formats=INTEL_FORMATS, events=INTEL_EVENTS)


@pytest.fixture
def zen4(machine):
    """A Zen 4 with its core PMU and the L3's."""
    machine.cpuinfo(vendor_id="AuthenticAMD", cpu_family=25, model=97, model_name="AMD Ryzen 9 7950X")
    machine.pmu(
        "cpu",
        4,
        formats={"event": "config:0-7,32-35", "umask": "config:8-15"},
        events={"cache-misses": "event=0x64,umask=0x09"},
    )
    return machine.pmu(
        "amd_l3",
        12,
        formats={"event": "config:0-7", "umask": "config:8-15"},
        cpumask="0,8",
    )


@pytest.fixture
def alder_lake(machine):
    """A hybrid: P cores on cpu_core, E cores on cpu_atom."""
    machine.cpuinfo(
        vendor_id="GenuineIntel", cpu_family=6, model=151, model_name="Intel(R) Core(TM) i9-12900K"
    )
    machine.pmu("cpu_core", 4, formats=INTEL_FORMATS, events=INTEL_EVENTS, cpus="0-15")
    return machine.pmu("cpu_atom", 10, formats=INTEL_FORMATS, events=INTEL_EVENTS, cpus="16-23")
