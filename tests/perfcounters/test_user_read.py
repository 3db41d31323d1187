"""Reading counters in user space: the arithmetic, on pages made up here to the kernel's documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcounters._perf import ffi, lib

CAN_READ = 1 << 2  # cap_user_rdpmc, bit 2 of capabilities (linux/perf_event.h)
HAS_TIME = 1 << 3  # cap_user_time
SHORT_TIME = 1 << 5  # cap_user_time_short


def page_of(**fields):
    page = ffi.new("struct perf_event_mmap_page *")
    usual = {"index": 1, "pmc_width": 48, "time_mult": 1, "capabilities": CAN_READ | HAS_TIME}
    for name, value in {**usual, **fields}.items():
        setattr(page, name, value)
    return page


def read(page, *, register=lambda index: 0, clock=lambda: 0):
    """Give (enabled, running, value), or None where it can't be read in user space."""
    count = ffi.new("struct pe_user_count *")
    counter = ffi.callback("uint64_t(uint32_t)", register)
    if not lib.pe_user_read(page, counter, ffi.callback("uint64_t(void)", clock), count):
        return None
    return count.enabled, count.running, count.value


def test_the_count_is_the_offset_and_the_register():
    """Documented as: count = offset + rdpmc(index - 1)."""
    asked = []
    page = page_of(index=3, offset=1000)
    assert read(page, register=lambda index: asked.append(index) or 234)[2] == 1234
    assert asked == [2]


@given(width=st.integers(1, 64), data=st.data())
def test_the_register_is_sign_extended(width, data):
    """The kernel starts a register of w bits at -n, held as 2^w - n, with offset + n counted already."""
    signed = data.draw(st.integers(-(1 << width - 1), (1 << width - 1) - 1))
    offset = data.draw(st.integers(1 << 63 >> 1, 1 << 62))
    page = page_of(pmc_width=width, offset=offset)
    assert read(page, register=lambda index: signed % (1 << width))[2] == (offset + signed) % (1 << 64)


def test_bits_beyond_the_width_are_no_part_of_it():
    page = page_of(pmc_width=32, offset=100)
    assert read(page, register=lambda index: 0xDEADBEEF_00000007)[2] == 107


@given(
    cycles=st.integers(0, 2**60),
    mult=st.integers(1, 2**31),
    shift=st.integers(0, 31),
    times=st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)),
)
def test_times_go_on_by_the_clock(cycles, mult, shift, times):
    """Documented as: delta = time_offset + quot * mult + ((rem * mult) >> shift), in 64 bits."""
    page = page_of(
        time_mult=mult, time_shift=shift, time_offset=5, time_enabled=times[0], time_running=times[1]
    )
    delta = 5 + (cycles >> shift) * mult + ((cycles % (1 << shift)) * mult >> shift)
    expected = tuple((time + delta) % (1 << 64) for time in times)
    assert read(page, clock=lambda: cycles)[:2] == expected


def test_a_short_clock_is_completed():
    """A clock of 16 bits that went round once since time_cycles: cycles = base + (now - base) & mask."""
    page = page_of(
        capabilities=CAN_READ | HAS_TIME | SHORT_TIME, time_cycles=0x5_FFF0, time_mask=0xFFFF, time_enabled=0
    )
    assert read(page, clock=lambda: 0x0010)[0] == 0x6_0010


def test_a_page_that_changes_meanwhile_is_read_again():
    """The lock is another after the read: what was read belongs to two states; the second is taken whole."""
    page = page_of(offset=100)
    reads = []

    def register(index):
        reads.append(index)
        if len(reads) == 1:  # the kernel takes the event to another register in between
            page.lock += 2
            page.index, page.offset = 5, 7000
        return 11

    assert read(page, register=register)[2] == 7011
    assert reads == [0, 4]


def test_times_that_change_meanwhile_are_read_again():
    page = page_of(time_enabled=10, time_running=10)
    ticks = iter((100, 200))

    def clock():
        now = next(ticks)
        if now == 100:
            page.lock += 2
            page.time_enabled, page.time_running, page.time_offset = 90, 80, -150 % 2**64
        return now

    assert read(page, clock=clock)[:2] == (140, 130)


@pytest.mark.parametrize(
    "fields",
    [
        {"index": 0},
        {"capabilities": HAS_TIME},
        {"capabilities": CAN_READ},
        {"pmc_width": 0},
        {"pmc_width": 65},
    ],
    ids=["not on a register", "not allowed", "no clock", "no width", "impossible width"],
)
def test_where_it_cannot_be_read_the_register_is_left_alone(fields):
    """A register read without permission is a fault: read(2) takes over, and it is not touched."""
    assert read(page_of(**fields), register=lambda index: pytest.fail("read")) is None


def test_an_event_that_leaves_its_register_meanwhile_is_not_read():
    page = page_of()

    def register(index):
        page.lock += 2
        page.index = 0
        return 1

    assert read(page, register=register) is None
