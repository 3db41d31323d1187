"""What doctor says of machines made of files, where the real answer is known."""

import argparse
import errno
import json

import pytest

from perfcounters import Counters, _environment, _kernel, _validation, doctor, errors, trust


@pytest.fixture(autouse=True)
def nothing_kept(tmp_path, monkeypatch):
    """No check is known from before, and none is kept for others."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_validation, "_known", {})


def findings():
    return {one.subject: one for one in doctor.examine()[0]}


@pytest.fixture
def few_events(monkeypatch):
    """The catalogue holds LLC-misses alone, for what is not about events."""
    monkeypatch.setattr("perfcounters.events.known_names", lambda: ("LLC-misses",))


SETTING = "kernel.perf_event_paranoid"


@pytest.mark.parametrize(
    "files,setter",
    [
        ({"/etc/sysctl.d/10-perf.conf": f"{SETTING} = 3\n"}, "/etc/sysctl.d/10-perf.conf"),
        ({"/usr/lib/sysctl.d/50-x.conf": "-kernel/perf_event_paranoid=3"}, "/usr/lib/sysctl.d/50-x.conf"),
        (
            {"/etc/sysctl.d/10-a.conf": f"{SETTING}=3", "/usr/lib/sysctl.d/99-b.conf": f"{SETTING}=3"},
            "/usr/lib/sysctl.d/99-b.conf",
        ),
        (
            {"/etc/sysctl.d/50-a.conf": "# nothing", "/usr/lib/sysctl.d/50-a.conf": f"{SETTING}=3"},
            None,
        ),
        (
            {"/etc/sysctl.d/99-a.conf": f"{SETTING}=3", "/etc/sysctl.conf": f"{SETTING}=3"},
            "/etc/sysctl.conf",
        ),
        ({"/etc/sysctl.d/10-a.conf": f"#{SETTING} = 3\nkernel.perf_event_paranoid_x = 3"}, None),
        ({"/etc/sysctl.d/README": f"{SETTING} = 3"}, None),
    ],
)
def test_who_set_a_sysctl(machine, files, setter):
    """Later names win over earlier; a name in /etc hides the same name in /usr/lib (sysctl.d(5))."""
    for path, text in files.items():
        machine.file(path, text)
    assert _environment.set_in(SETTING) == setter


@pytest.mark.parametrize(
    "level,said",
    [
        (1, "set at run time"),
        (2, "the kernel's default"),
        (3, "a distribution's patch"),
        (4, "a distribution's patch"),
    ],
)
def test_a_level_that_no_file_sets(machine, level, said):
    """Linux's default is 2 (kernel/events/core.c); 3 and 4 are Debian's and Ubuntu's patches."""
    machine.paranoid(level)
    assert said in _environment.paranoid_setter()


def test_a_refusal_says_who_set_the_level(kernel, skylake):
    kernel.fails(errno.EACCES)
    skylake.paranoid(3).file("/etc/sysctl.d/10-perf.conf", f"{SETTING} = 3\n")
    with pytest.raises(errors.CounterPermissionError, match=r"set in /etc/sysctl\.d/10-perf\.conf"):
        Counters("instructions").open()


def test_levels_have_remedies(kernel, skylake, few_events):
    skylake.paranoid(3)
    finding = findings()["perf_event_paranoid"]
    assert finding.text.startswith("3: ordinary users may count nothing")
    assert finding.remedy == "sudo sysctl kernel.perf_event_paranoid=2"
    skylake.paranoid(2)
    assert findings()["perf_event_paranoid"].remedy == "sudo sysctl kernel.perf_event_paranoid=1"
    skylake.paranoid(-1)
    assert findings()["perf_event_paranoid"].remedy == ""


@pytest.mark.parametrize(
    "held,name",
    [("0000000000000000", None), ("0000004000000000", "CAP_PERFMON"), ("000001ffffffffff", "CAP_SYS_ADMIN")],
)
def test_capabilities(kernel, skylake, few_events, held, name):
    """CAP_PERFMON is bit 38, CAP_SYS_ADMIN 21 (linux/capability.h)."""
    skylake.file("/proc/self/status", f"CapEff:\t{held}\nSeccomp:\t0\n")
    found = findings()
    assert (name or "neither") in found["capabilities"].text
    assert bool(found["capabilities"].remedy) == (name is None)
    assert bool(found["perf_event_paranoid"].remedy) == (name is None)  # level 2 does not bind the others
    assert "container" not in found


def test_a_container(kernel, container, few_events):
    container.file("/.dockerenv", "")
    finding = findings()["container"]
    assert "Docker" in finding.text
    assert "seccomp filters" in finding.text
    assert "--cap-add PERFMON" in finding.remedy


def test_the_watchdog_takes_a_counter(kernel, skylake, few_events):
    skylake.file("/proc/sys/kernel/nmi_watchdog", "1\n")
    assert findings()["NMI watchdog"].remedy == "sudo sysctl kernel.nmi_watchdog=0"
    skylake.file("/proc/sys/kernel/nmi_watchdog", "0\n")
    assert "NMI watchdog" not in findings()


def test_few_descriptors(kernel, skylake, few_events, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda which: (1024, 2048))
    finding = findings()["descriptors"]
    assert finding.text.startswith("1,024, raised up to 2,048")
    assert "ulimit" in finding.remedy


def test_a_virtual_machine_without_a_pmu(kernel, virtual_machine, few_events):
    kernel.refuse = lambda encoding, flags, group_fd: (
        errno.ENOENT if encoding.type in (_kernel.TYPE_HARDWARE, _kernel.TYPE_RAW) else 0
    )
    found = findings()
    assert "hypervisor" in found
    assert found["core PMU"].text.startswith("none")
    assert (found["LLC-misses"].verdict, found["LLC-misses"].remedy) == ("refused", "")
    assert "(it is a virtual machine)" in found["LLC-misses"].text


def known_misses(per_line, per_hit):
    """
    Answer as a PMU that counts so much for the 131,072 lines of each walk and for its known hits.

    The reads are: at the with, then of each walk before the misses, between, and after the hits.
    """

    def answers(fd, turn):
        done = turn - 2
        value = done // 3 * (per_line + per_hit) + (0, per_line, per_line + per_hit)[done % 3]
        return 10**9 * turn, 10**9 * turn, value if turn > 1 else 0

    return answers


@pytest.mark.parametrize(
    "per_line,per_hit,trusted",
    [(131_072, 0, True), (131_072, 131_072, False), (60_000, 0, False), (0, 0, False)],
)
def test_known_misses_decide(kernel, skylake, per_line, per_hit, trusted):
    """1 count for each of 131,072 known misses and 0 for each known hit is right; anything else is not."""
    kernel.answers = known_misses(per_line, per_hit)
    judged = trust.llc()
    assert judged.trusted is trusted
    assert judged.ratio == pytest.approx(per_line / 131_072)
    assert _validation.validated("LLC-misses", "cpu/config=0x412e/") is trusted


def test_a_pmu_that_counts_nonsense_is_not_trusted(kernel, skylake, capsys):
    """Every count is 10, whatever was done: what is checked is off, and the exit status says so."""
    assert doctor.run(argparse.Namespace(json=True)) == 1
    found = json.loads(capsys.readouterr().out)
    verdicts = {one["subject"]: one["verdict"] for one in found["findings"]}
    assert not found["llc_trusted"]
    for name in ("instructions", "branches", "LLC-misses", "page-faults", "task-clock"):
        assert verdicts[name] == "off"
    assert verdicts["branch-misses"] == "unchecked"
    assert not kernel.live


def test_the_exit_status_is_that_of_the_misses(kernel, skylake, few_events, capsys):
    kernel.answers = known_misses(131_072, 0)
    assert doctor.run(argparse.Namespace(json=False)) == 0
    assert capsys.readouterr().out.endswith("LLC misses can be trusted here.\n")
