"""Names to encodings, on machines made of files."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfcounters import Counters, _kernel, errors, events, pmus


def test_llc_misses_on_intel(skylake):
    """Intel's architectural LLC-miss event is event 2EH, umask 41H (SDM volume 3, Architectural Events)."""
    event = events.resolve("LLC-misses")
    assert event.encoding == _kernel.Encoding(_kernel.TYPE_RAW, 0x412E)
    assert event.shown == "cpu/config=0x412e/"
    assert event.definition.startswith("LONGEST_LAT_CACHE.MISS")
    assert event.verified


def test_llc_misses_where_unknown(machine):
    """On a processor that no table names the event is refused, with the processor's name."""
    machine.cpuinfo(vendor_id="HygonGenuine", cpu_family=24, model=1, model_name="Hygon C86")
    with pytest.raises(errors.EventUnavailableError, match="Hygon C86"):
        events.resolve("LLC-misses")


def test_an_intel_pmu_that_lists_no_cache_misses_is_not_believed(skylake):
    """CPUID may say that the architectural event is missing; the kernel then does not list it."""
    (skylake.root / "sys/bus/event_source/devices/cpu/events/cache-misses").unlink()
    assert not events.resolve("LLC-misses").verified


@pytest.mark.parametrize(
    "name,config",
    [
        ("cpu/event=0x2e,umask=0x41/", 0x412E),
        ("cpu/cache-misses/", 0x412E),
        ("cpu/event=0xc0,cmask=1,inv/", 0x0180_00C0),
        ("cpu/config=0x1234/", 0x1234),
        ("r412e", 0x412E),
    ],
)
def test_terms_go_to_the_bits_that_sysfs_names(skylake, name, config):
    """format/umask says config:8-15, format/inv config:23, format/cmask config:24-31."""
    assert events.resolve(name).encoding == _kernel.Encoding(4, config)


def test_bits_in_two_ranges(zen4):
    """AMD's event has 12 bits: config:0-7,32-35."""
    assert events.resolve("cpu/event=0xfab/").encoding.config == 0xF_0000_00AB


def test_offcore_goes_to_config1(skylake):
    encoding = events.resolve("cpu/event=0xb7,umask=1,offcore_rsp=0x3f/").encoding
    assert (encoding.config, encoding.config1) == (0x1B7, 0x3F)


@pytest.mark.parametrize(
    "name,said",
    [
        ("cpu/umsk=1/", "did you mean umask"),
        ("cpu/umask=0x100/", "does not fit into the 8 bits"),
        ("cpu/umask=-1/", "does not fit"),
        ("cpu/umask=x/", "is no number"),
        ("cpu/cache-mises/", "did you mean cache-misses"),
    ],
)
def test_wrong_terms(skylake, name, said):
    with pytest.raises(errors.EventNameError, match=said):
        events.resolve(name)


def test_a_pmu_that_is_not_there(skylake):
    with pytest.raises(errors.EventUnavailableError, match=r"no PMU amd_l3\. Its PMUs are: cpu"):
        events.resolve("amd_l3/event=4/")


@pytest.mark.parametrize(
    "modifier,flags",
    [("", None), (":u", _kernel.EXCLUDE_KERNEL), (":k", _kernel.EXCLUDE_USER), (":uk", 0)],
)
def test_modifiers(modifier, flags):
    event = events.resolve(f"page-faults{modifier}")
    assert (event.name, event.exclude) == (f"page-faults{modifier}", flags)


def test_a_breakpoint():
    event = events.resolve("mem:0x7ffd1234/8:w")
    assert event.encoding == _kernel.Encoding(
        _kernel.TYPE_BREAKPOINT, 0, 0x7FFD1234, 8, _kernel.BREAKPOINT_WRITE
    )


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 20)), max_size=5))
def test_kernel_lists_of_numbers(ranges):
    """The kernel writes sets of numbers as ranges between commas (Documentation/admin-guide)."""
    text = ",".join(f"{first}-{first + more}" if more else str(first) for first, more in ranges)
    expected = tuple(n for first, more in ranges for n in range(first, first + more + 1))
    assert pmus.parse_ranges(text) == expected


@example("mem:0x" + "f" * 16 + "/8:rw:u")
@example("cpu//")
@example("r" + "f" * 17)
@given(st.one_of(st.text(max_size=40), st.from_regex(r"(cpu|mem:|r)[/:=,0-9a-fx]{0,12}(/|:[ukrw]*)?")))
def test_any_string_is_an_event_or_an_error_of_ours(name):
    with contextlib.suppress(errors.EventNameError, errors.EventUnavailableError):
        assert events.resolve(name).name == name


@pytest.mark.parametrize(
    "family,model,config",
    [
        (0x17, 0x71, 0x4843),
        (0x19, 0x21, 0x4844),
        (0x19, 0x61, 0x4844),
        (0x19, 0xA0, 0x1_0000_4865),
        (0x1A, 0x44, 0x1_0000_4865),
    ],
)
def test_llc_misses_on_zen(machine, family, model, config):
    """The DRAM-fill event of Zen 2, 3, 4, 4c and 5 (Linux, tools/perf/pmu-events/arch/x86/amdzen*)."""
    machine.cpuinfo(vendor_id="AuthenticAMD", cpu_family=family, model=model, model_name="AMD")
    assert events.resolve("LLC-misses").encoding == _kernel.Encoding(_kernel.TYPE_RAW, config)


@pytest.mark.parametrize("family,model", [(0x17, 0x08), (0x18, 0x01)])
def test_zen_1_is_refused_and_told_why(machine, family, model):
    """No event of Zen 1 is known to mean it; the generic one counts L2 misses there."""
    machine.cpuinfo(vendor_id="AuthenticAMD", cpu_family=family, model=model, model_name="AMD")
    with pytest.raises(errors.EventUnavailableError, match="L2 misses on AMD"):
        events.resolve("LLC-misses")


@pytest.mark.parametrize(
    "part,config,listed",
    [
        ("0xd0c", 0x2A, "l3d_cache_refill"),
        ("0xd49", 0x37, "ll_cache_miss_rd"),
        ("0xd4f", 0x37, "ll_cache_miss_rd"),
    ],
)
def test_llc_misses_on_neoverse(machine, part, config, listed):
    """N1: L3D_CACHE_REFILL; N2, V2: LL_CACHE_MISS_RD (Linux, tools/perf/pmu-events/arch/arm64/arm)."""
    machine.file("/proc/cpuinfo", f"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: {part}\n")
    assert not events.resolve("LLC-misses").verified
    machine.pmu("armv8_pmuv3_0", 8, events={listed: f"event={config:#x}"}, cpus="0-3")
    event = events.resolve("LLC-misses")
    assert event.encoding.config == config
    assert event.verified


def test_an_event_of_the_l3_counts_cpus(kernel, zen4):
    """amd_l3 counts a core complex, on the CPU that its cpumask names for it; never a task."""
    with pytest.raises(errors.EventUnavailableError, match='use scope="cpu"'):
        Counters("amd_l3/event=4,umask=1/").open()
    with Counters("amd_l3/event=4,umask=1/", scope="cpu") as counters:
        assert [(pid, cpu) for _, _, pid, cpu, _ in kernel.opened[-2:]] == [(-1, 0), (-1, 8)]
    (count,) = counters.reading
    assert (count.scope, count.value) == ("cpu", 20)
