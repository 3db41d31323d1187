"""What the catalogue's names are on machines made of files, and what is opened for them."""

import errno

import pytest

from perfcounters import Counters, _kernel, countable, errors, events
from perfcounters._names import catalogue

HW_CACHE = 3  # PERF_TYPE_HW_CACHE (linux/perf_event.h)


@pytest.mark.parametrize(
    "name,config",
    [
        ("L1-dcache-loads", 0),
        ("dTLB-load-misses", 3 | 0 << 8 | 1 << 16),
        ("LLC-load-misses", 2 | 0 << 8 | 1 << 16),
        ("LLC-store-misses", 2 | 1 << 8 | 1 << 16),
        ("iTLB-load-misses", 4 | 0 << 8 | 1 << 16),
    ],
)
def test_generic_cache_events(skylake, name, config):
    """Config = cache | operation << 8 | result << 16 (perf_event_open(2), PERF_TYPE_HW_CACHE)."""
    assert events.resolve(name).encoding == _kernel.Encoding(HW_CACHE, config)


@pytest.mark.parametrize(
    "alias,name",
    [
        ("cpu-cycles", "cycles"),
        ("branch-instructions:u", "branches:u"),
        ("faults", "page-faults"),
        ("cs", "context-switches"),
    ],
)
def test_perfs_other_names(skylake, alias, name):
    """The pairs stand in `perf list`, as 'one OR other'."""
    one, other = events.resolve(alias), events.resolve(name)
    assert (one.encoding, one.exclude, one.name) == (other.encoding, other.exclude, alias)


def test_cache_misses_are_the_llcs_even_where_the_generic_event_counts_others(zen4):
    """The kernel's own cache-misses counts the L2's on AMD (arch/x86/events/amd/core.c, 0x0964)."""
    event = events.resolve("cache-misses")
    assert event.encoding == events.resolve("LLC-misses").encoding
    assert event.encoding != _kernel.Encoding(_kernel.TYPE_HARDWARE, 3)


@pytest.mark.parametrize(
    "zen,misses,references",
    [(2, 0x4843, 0x5A43), (3, 0x4844, 0x5E44), (4, 0x4844, 0x5E44), (5, 0x1_0000_4865, 0x1_0000_DE65)],
    indirect=["zen"],
)
def test_the_llc_of_zens(zen, misses, references):
    """Linux, tools/perf/pmu-events/arch/x86/amdzen2 to 5; event bits 8 up are config bits 32 up."""
    assert events.resolve("LLC-misses").encoding == _kernel.Encoding(_kernel.TYPE_RAW, misses)
    assert events.resolve("LLC-references").encoding == _kernel.Encoding(_kernel.TYPE_RAW, references)


@pytest.mark.parametrize("zen,misses", [(2, 0x0106), (3, 0x0106), (4, 0x0104), (5, 0x0104)], indirect=["zen"])
def test_the_l3_pmu_of_zens(kernel, zen, misses):
    """l3_comb_clstr_state.request_miss (0x06/0x01) to Zen 3, l3_lookup_state.l3_miss (0x04/0x01) from 4."""
    with pytest.raises(errors.EventUnavailableError, match='use scope="cpu"'):
        Counters("amd_l3-misses").open()
    with Counters("amd_l3-misses", "amd_l3-references", scope="cpu") as counters:
        opened = {(encoding, cpu) for encoding, _, _, cpu, _ in kernel.opened[-4:]}
    assert opened == {(_kernel.Encoding(12, config), cpu) for config in (misses, 0xFF04) for cpu in (0, 8)}
    count = counters.reading["amd_l3-misses"]
    assert (count.pmu, count.scope) == ("amd_l3", "cpu")
    assert "everybody's" in count.definition


def test_intels_own_events(sapphire_rapids):
    """The vendor's lists: OCR.READS_TO_CORE.L3_MISS is 0x2a/0x01 with MSR value 0x3F3FC04477 there."""
    event = events.resolve("OCR.READS_TO_CORE.L3_MISS")
    assert event.encoding == _kernel.Encoding(_kernel.TYPE_RAW, 0x12A, 0x3F3FC04477)
    assert event.shown == "cpu/config=0x12a,config1=0x3f3fc04477/"
    assert events.resolve("MEM_LOAD_RETIRED.L3_MISS").encoding.config == 0x20D1
    assert events.resolve("FP_ARITH_INST_RETIRED.512B_PACKED_SINGLE").encoding.config == 0x80C7
    assert "OCR.READS_TO_CORE.L3_MISS" in events.known_names()


def test_an_event_of_other_processors(alder_lake):
    """0x20d1 means another thing on E cores: on hybrids the name is refused, and not among the known."""
    with pytest.raises(errors.EventUnavailableError, match="no event is known to mean that"):
        events.resolve("MEM_LOAD_RETIRED.L3_MISS")
    assert "MEM_LOAD_RETIRED.L3_MISS" not in events.known_names()


def test_every_row_has_its_source():
    table = catalogue()
    rows = [
        *table["hardware"].values(),
        *table["software"].values(),
        *table["processors"],
        *(one for event in table["pmu_events"].values() for one in event["candidates"]),
        {"source": table["cache_source"]},
    ]
    assert all(len(row["source"]) > 10 for row in rows)


def test_apples_cores_are_refused_with_their_reason(machine):
    machine.file("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x61\nCPU part\t: 0x022\n")
    with pytest.raises(errors.EventUnavailableError, match="Apple's cores have no event for it"):
        events.resolve("LLC-misses")


def test_neoverse_n1(neoverse_n1):
    """L3D_CACHE_REFILL and L3D_CACHE (Linux, tools/perf/pmu-events/arch/arm64/arm/neoverse-n1)."""
    assert events.resolve("LLC-misses").encoding.config == 0x2A
    assert events.resolve("LLC-references").encoding.config == 0x2B
    assert events.resolve("LLC-misses").verified


def test_memory_traffic_of_a_client(kernel, skylake_client):
    """One count of data_reads is 64 bytes: 6.103515625e-5 MiB, as the kernel's scale and unit say."""
    with Counters("dram-bytes-read", "dram-bytes-written", scope="cpu") as counters:
        pass
    # The fake kernel counts 10 more each read.
    assert [(c.event, c.value, c.unit) for c in counters.reading] == [
        ("dram-bytes-read", 640, "bytes"),
        ("dram-bytes-written", 640, "bytes"),
    ]
    assert counters.reading["dram-bytes-read"].raw == 10


def test_memory_traffic_of_a_server_is_the_sum_of_its_channels(kernel, sapphire_rapids):
    """Three PMUs on a CPU of each of two sockets: 6 x 10 counts of 64 bytes."""
    with Counters("dram-bytes-read", scope="cpu") as counters:
        opened = {(encoding.type, cpu) for encoding, _, _, cpu, _ in kernel.opened}
    assert opened == {(kind, cpu) for kind in (20, 21, 22) for cpu in (0, 56)}
    count = counters.reading["dram-bytes-read"]
    assert (count.value, count.raw, count.pmu) == (3840, 60, "uncore_imc_0+uncore_imc_1+uncore_imc_2")
    assert "uncore_imc/cas_count_read/" in count.definition


@pytest.mark.parametrize("zen", [4], indirect=True)
def test_memory_traffic_of_a_zen_4(kernel, zen):
    """Reads of umc_cas_cmd: event 0x0a, rdwrmask 1 (amdzen4/memory-controller.json), 64 bytes each."""
    with Counters("dram-bytes-read", scope="cpu") as counters:
        pass
    assert {encoding for encoding, *_ in kernel.opened} == {
        _kernel.Encoding(14, 0x010A),
        _kernel.Encoding(15, 0x010A),
    }
    assert counters.reading["dram-bytes-read"].value == 2 * 10 * 64


def test_memory_traffic_without_a_pmu_for_it(virtual_machine):
    with pytest.raises(errors.EventUnavailableError, match="shows no PMU for it here; it would be one of"):
        events.resolve("dram-bytes-read")


def test_scale_and_unit_of_the_kernel(kernel, machine):
    """energy-pkg counts 2^-32 J each (Linux, arch/x86/events/rapl.c)."""
    machine.pmu(
        "power",
        15,
        formats={"event": "config:0-7"},
        events={
            "energy-pkg": "event=0x02",
            "energy-pkg.scale": "2.3283064365386962890625e-10",
            "energy-pkg.unit": "Joules",
        },
        cpumask="0",
    )
    kernel.answers = lambda fd, turn: (1000 * turn, 1000 * turn, (turn - 1) << 31)
    with Counters("power/energy-pkg/", scope="cpu") as counters:
        pass
    (count,) = counters.reading
    assert (count.value, count.quantity, count.unit) == (1 << 31, 0.5, "Joules")


def test_pmus_of_one_name_are_added(kernel, sapphire_rapids):
    """As perf does: uncore_imc/.../ is uncore_imc_0, uncore_imc_1, ... together."""
    with Counters("uncore_imc/event=5,umask=0xcf/", scope="cpu") as counters:
        pass
    assert counters.reading["uncore_imc/event=5,umask=0xcf/"].value == 60
    assert events.resolve("uncore_imc_1/cas_count_read/").encoding == _kernel.Encoding(21, 0xCF05)


@pytest.mark.parametrize(
    "wrong,nearest",
    [
        ("LLC-mises", "LLC-misses"),
        ("llc-misses", "LLC-misses"),
        ("dtlb-load-miss", "dTLB-load-misses"),
        ("branch-mispredicts", "branch-misses"),
        ("data_read", "uncore_imc/data_reads/"),
        ("l3_misses", "amd_l3-misses"),
    ],
)
def test_the_nearest_name(skylake_client, wrong, nearest):
    with pytest.raises(errors.EventNameError) as caught:
        events.resolve(wrong)
    assert nearest in caught.value.nearest


def test_which_of_several_can_be_counted(kernel, zen4):
    """Each is asked alone: one that this processor lacks takes no other with it."""
    kernel.refuse = lambda encoding, flags, group_fd: errno.ENOENT if encoding.type == HW_CACHE else 0
    found = countable(["instructions", "LLC-loads", "amd_l3-misses", "LLC-misses"])
    assert {name: error is None for name, error in found.items()} == {
        "instructions": True,
        "LLC-loads": False,
        "amd_l3-misses": False,
        "LLC-misses": True,
    }
    assert "does not have it" in str(found["LLC-loads"])
    assert 'use scope="cpu"' in str(found["amd_l3-misses"])
    assert not kernel.live
    with pytest.raises(errors.EventNameError):
        countable(["no-such-thing"])


def test_two_events_of_an_uncore_pmu_share_a_group(kernel, zen4):
    """Whether they fit is asked on a CPU, since such a PMU counts no task."""
    kernel.refuse = lambda encoding, flags, group_fd: 0
    names = ("amd_l3/event=4,umask=1/", "amd_l3/event=4,umask=0xff/")
    with Counters(*names, scope="cpu") as counters:
        assert all(pid == -1 for _, _, pid, _, _ in kernel.opened)
    assert {count.group for count in counters.reading} == {0}
