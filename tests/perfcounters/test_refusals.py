"""Each refusal of the kernel has a cause and a remedy of its own."""

import errno
import pickle

import pytest

from perfcounters import Counters, _kernel, errors


def refusal(event="instructions", **kwargs):
    with pytest.raises(errors.CounterError) as caught:
        Counters(event, **kwargs).open()
    return caught.value


@pytest.mark.parametrize("level", [3, 4])
def test_eacces_names_the_paranoid_level(kernel, skylake, level):
    """EACCES quotes the current setting, the one needed and the command (perf_event_open(2))."""
    kernel.fails(errno.EACCES)
    skylake.paranoid(level)
    error = refusal()
    assert isinstance(error, errors.CounterPermissionError)
    assert (error.event, error.errno, error.paranoid) == ("instructions", errno.EACCES, level)
    assert f"perf_event_paranoid is {level}; it must be 2 or lower" in str(error)
    assert "sysctl kernel.perf_event_paranoid=2" in str(error)


def test_whole_cpus_need_level_0(kernel, skylake):
    """Events of whole CPUs need perf_event_paranoid 0 (perf_event_open(2))."""
    kernel.fails(errno.EACCES)
    skylake.paranoid(1)
    assert "it must be 0 or lower to count whole CPUs" in str(refusal(scope="cpu"))


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_a_sandbox_is_told_from_the_paranoid_level(kernel, skylake, number):
    """EPERM at a level that allows it, in a process under seccomp, is the container's doing."""
    skylake.file("/proc/self/status", "Name:\tpython\nSeccomp:\t2\n").paranoid(2)
    error = refusal() if kernel.fails(number) else None
    assert isinstance(error, errors.CounterPermissionError)
    assert "seccomp" in str(error)
    assert "--cap-add PERFMON" in str(error)


def test_without_a_sandbox_a_capability_is_missing(kernel, skylake):
    """EPERM at level 2 without seccomp asks for CAP_PERFMON."""
    kernel.fails(errno.EPERM)
    skylake.file("/proc/self/status", "Seccomp:\t0\n")
    assert "CAP_PERFMON" in str(refusal())


def test_no_pmu_in_a_virtual_machine(kernel, machine):
    """ENOENT without any core PMU in sysfs: the machine shows none, not a missing file."""
    machine.cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=106, flags="fpu hypervisor avx2")
    kernel.fails(errno.ENOENT)
    error = refusal()
    assert isinstance(error, errors.EventUnavailableError)
    assert "shows no performance counters (it is a virtual machine)" in str(error)
    assert "No such file" not in str(error)


def test_an_event_that_the_pmu_lacks(kernel, skylake):
    """ENOENT with a core PMU: it is the event that is missing."""
    kernel.fails(errno.ENOENT)
    assert "this processor's PMU (cpu) does not have it" in str(refusal())


@pytest.mark.parametrize(
    "number,kind,said",
    [
        (errno.EMFILE, errors.CounterLimitError, "ulimit -n"),
        (errno.ENFILE, errors.CounterLimitError, "fs.file-max"),
        (errno.ENOSPC, errors.TooManyEventsError, "breakpoint registers"),
        (errno.EBUSY, errors.CounterError, "holds the PMU for itself"),
        (errno.EINVAL, errors.EventUnavailableError, "encoding invalid"),
        (errno.E2BIG, errors.EventUnavailableError, "Linux 5.13"),
        (errno.ENOSYS, errors.EventUnavailableError, "CONFIG_PERF_EVENTS"),
        (errno.EIO, errors.CounterError, "EIO"),
    ],
)
def test_each_errno_has_its_own_sentence(kernel, skylake, number, kind, said):
    kernel.fails(number)
    error = refusal()
    assert type(error) is kind
    assert error.errno == number
    assert said in str(error)


def test_a_kernel_that_cannot_leave_children_out(kernel, skylake):
    """inherit_thread came with Linux 5.13; before, the kernel refuses a bit that it does not know: EINVAL."""
    kernel.refuse = lambda encoding, flags, group_fd: errno.EINVAL if flags & _kernel.INHERIT_THREAD else 0
    skylake.file("/proc/sys/kernel/osrelease", "5.10.0-32-amd64\n")
    assert "needs Linux 5.13 or later" in str(refusal())
    Counters("instructions", scope="tree").open().close()
    skylake.file("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
    assert "encoding invalid" in str(refusal())


def test_errors_survive_pickling(kernel, skylake):
    """A worker's error reaches its parent with its attributes."""
    kernel.fails(errno.EACCES)
    error = refusal()
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_where_the_kernel_may_not_be_counted_user_space_is(kernel, skylake):
    """At paranoid 2 the kernel refuses events that include it: they are counted without, and say so."""
    kernel.refuse = lambda encoding, flags, group_fd: 0 if flags & _kernel.EXCLUDE_KERNEL else errno.EACCES
    with Counters("instructions", scope="thread") as counters:
        pass
    assert counters.reading["instructions"].exclusions == ("kernel",)


def test_counters_opened_again_find_out_again_what_they_may_count(kernel, skylake):
    """Opened with the kernel's part; then the level rises: opened again without it."""
    counters = Counters("instructions", scope="thread")
    with counters:
        pass
    assert counters.reading["instructions"].exclusions == ()
    before = len(kernel.opened)
    with counters:
        pass
    assert len(kernel.opened) == before + 1  # nothing to find out
    kernel.refuse = lambda encoding, flags, group_fd: 0 if flags & _kernel.EXCLUDE_KERNEL else errno.EACCES
    with counters:
        pass
    assert counters.reading["instructions"].exclusions == ("kernel",)
    kernel.fails(errno.EACCES)
    with pytest.raises(errors.CounterPermissionError):
        counters.open()


def test_what_happens_in_the_kernel_is_never_0_for_want_of_permission(kernel, machine):
    """context-switches without the kernel would always be 0 (perf_event_open(2)): refused."""
    kernel.refuse = lambda encoding, flags, group_fd: 0 if flags & _kernel.EXCLUDE_KERNEL else errno.EACCES
    error = refusal("context-switches")
    assert "it must be 1 or lower" in str(error)
    assert not kernel.live


def test_a_refusal_in_the_middle_leaves_nothing_open(kernel, skylake, monkeypatch):
    """After the trial, the open on the second of two threads fails: all descriptors are closed."""
    monkeypatch.setattr(_kernel, "threads", lambda: frozenset({10, 11}))
    opens = []

    def refuse(encoding, flags, group_fd):
        opens.append(encoding)
        return errno.EMFILE if len(opens) == 3 else 0

    kernel.refuse = refuse
    refusal("page-faults")
    assert len(opens) == 3
    assert not kernel.live


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_any_errno_of_any_open_is_told_and_leaves_nothing_open(kernel, skylake, monkeypatch, number):
    """Whichever open fails, once, with whatever: an error of ours or, tried again, none."""
    monkeypatch.setattr(_kernel, "threads", lambda: frozenset({10, 11}))
    for failing in range(1, 12):
        for scope in ("thread", "process", "cpu"):
            opens = []

            def refuse(encoding, flags, group_fd, opens=opens, failing=failing):
                opens.append(1)
                return number if len(opens) == failing else 0

            kernel.refuse = refuse
            counters = Counters("instructions", "cycles", "page-faults", scope=scope)
            try:
                counters.open()
            except errors.CounterError as error:
                assert str(error).startswith("cannot ")  # noqa: PT017 - success is as good
            else:
                counters.close()
            assert not kernel.live


def test_more_descriptors_than_allowed_are_refused_before_opening(machine, monkeypatch):
    """The sum is given: events x threads and those in use, against the hard limit."""
    monkeypatch.setattr("resource.getrlimit", lambda which: (100, 200))
    monkeypatch.setattr(_kernel, "threads", lambda: frozenset(range(1000)))
    error = refusal("page-faults")
    assert isinstance(error, errors.CounterLimitError)
    assert "1000 file descriptors are needed" in str(error)
    assert "200" in str(error)


def test_unknown_names_get_their_nearest():
    with pytest.raises(errors.EventNameError, match="did you mean page-faults") as caught:
        Counters("page-fault").open()
    assert caught.value.nearest[0] == "page-faults"
    assert pickle.loads(pickle.dumps(caught.value)).nearest == caught.value.nearest
