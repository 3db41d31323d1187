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
        self._clock = itertools.count(1)
        self.free_counters = 100
        for name in ("open_event", "event_id", "enable", "close", "group_times"):
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

    def group_times(self, leader, size):
        """Every group is on the PMU all the time, unless `free_counters` are too few."""
        assert size == len([fd for fd in self.groups[leader] if fd in self.live])
        enabled = next(self._clock)
        return enabled, enabled if size <= self.free_counters else 0

    def enable(self, leader):
        assert leader in self.groups

    def close(self, fd):
        self.live.remove(fd)

    def _reader(self, leaders, ids, mapped=(), *, own=False):
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

            read_own_into = read_into

            def read_around(self, function, argument):
                before, after = [], []
                self.read_into(self.target, before)
                self.read_into(self.target, after)
                return before, after

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
def skylake_client(skylake):
    """The same with the memory controller's PMU of client processors: its counts are 64 bytes each."""
    return skylake.pmu(
        "uncore_imc",
        11,
        formats={"event": "config:0-7"},
        events={
            "data_reads": "event=0x01",
            "data_reads.scale": "6.103515625e-5",
            "data_reads.unit": "MiB",
            "data_writes": "event=0x02",
            "data_writes.scale": "6.103515625e-5",
            "data_writes.unit": "MiB",
        },
        cpumask="0",
    )


@pytest.fixture
def sapphire_rapids(machine):
    """A server with two sockets' memory channels, each a PMU, and a CPU of each socket to open them on."""
    machine.cpuinfo(
        vendor_id="GenuineIntel", cpu_family=6, model=143, model_name="Intel(R) Xeon(R) Platinum 8480+"
    )
    machine.pmu("cpu", 4, formats=INTEL_FORMATS, events=INTEL_EVENTS, rdpmc="1")
    for i in range(3):
        machine.pmu(
            f"uncore_imc_{i}",
            20 + i,
            formats={"event": "config:0-7", "umask": "config:8-15"},
            events={
                "cas_count_read": "event=0x05,umask=0xcf",
                "cas_count_read.scale": "6.103515625e-5",
                "cas_count_read.unit": "MiB",
                "cas_count_write": "event=0x05,umask=0xf0",
                "cas_count_write.scale": "6.103515625e-5",
                "cas_count_write.unit": "MiB",
            },
            cpumask="0,56",
        )
    return machine


ZEN_MODELS = {2: (23, 0x71), 3: (25, 0x21), 4: (25, 0x61), 5: (26, 0x44)}


def make_zen(machine, generation):
    family, model = ZEN_MODELS[generation]
    machine.cpuinfo(
        vendor_id="AuthenticAMD", cpu_family=family, model=model, model_name=f"AMD Ryzen (Zen {generation})"
    )
    machine.pmu(
        "cpu",
        4,
        formats={"event": "config:0-7,32-35", "umask": "config:8-15"},
        events={"cache-misses": "event=0x64,umask=0x09"},
    )
    if generation >= 4:
        for i in range(2):
            machine.pmu(
                f"amd_umc_{i}",
                14 + i,
                formats={"event": "config:0-7", "rdwrmask": "config:8-9"},
                cpumask="0",
            )
    return machine.pmu("amd_l3", 12, formats={"event": "config:0-7", "umask": "config:8-15"}, cpumask="0,8")


@pytest.fixture
def zen(machine, request):
    """A Zen of the generation that the test names, with its core PMU and the L3's; from 4 on the memory's."""
    return make_zen(machine, request.param)


@pytest.fixture
def zen4(machine):
    """A Zen 4."""
    return make_zen(machine, 4)


@pytest.fixture
def neoverse_n1(machine):
    """A Neoverse N1, as Arm's servers of that core show themselves."""
    machine.file("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n")
    return machine.pmu(
        "armv8_pmuv3_0",
        8,
        formats={"event": "config:0-15", "long": "config1:0", "rdpmc": "config1:1"},
        events={
            "inst_retired": "event=0x08",
            "l3d_cache": "event=0x2b",
            "l3d_cache_refill": "event=0x2a",
            "ll_cache_miss_rd": "event=0x37",
        },
        cpus="0-3",
    )


@pytest.fixture
def virtual_machine(machine):
    """A VM without a virtual PMU: software PMUs alone, and the flag by which a hypervisor shows itself."""
    machine.cpuinfo(
        vendor_id="AuthenticAMD", cpu_family=25, model=1, model_name="AMD EPYC", flags="fpu hypervisor avx2"
    )
    return machine.pmu("software", 1).pmu("breakpoint", 5)


@pytest.fixture
def container(skylake):
    """A container on a Skylake: its seccomp filter shows in the process's status; sysctls are the host's."""
    return skylake.file("/proc/self/status", "Name:\tpython\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n")


@pytest.fixture
def alder_lake(machine):
    """A hybrid: P cores on cpu_core, E cores on cpu_atom."""
    machine.cpuinfo(
        vendor_id="GenuineIntel", cpu_family=6, model=151, model_name="Intel(R) Core(TM) i9-12900K"
    )
    machine.pmu("cpu_core", 4, formats=INTEL_FORMATS, events=INTEL_EVENTS, cpus="0-15")
    return machine.pmu("cpu_atom", 10, formats=INTEL_FORMATS, events=INTEL_EVENTS, cpus="16-23")
