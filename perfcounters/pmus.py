"""The PMUs that sysfs lists, and events written in their terms (``Documentation/ABI`` of the kernel)."""

from __future__ import annotations

import difflib
import re

from perfcounters import _kernel
from perfcounters._kernel import Encoding
from perfcounters.errors import EventNameError, EventUnavailableError

_DEVICES = "/sys/bus/event_source/devices"
_BITS = re.compile(r"(config[12]?):([\d,-]+)")
_LIST = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?){0,99}")
_WORD = 64
_CORES = ("cpu", "cpu_core", "cpu_atom")
_CORE_PREFIXES = ("armv8_", "armv9_", "apple_")


def listed() -> tuple[str, ...]:
    """Give the names of all PMUs."""
    return _kernel.names(_DEVICES)


def core() -> tuple[str, ...]:
    """Give the PMUs of processor cores: one, several on hybrids, none without counters."""
    return tuple(name for name in listed() if name in _CORES or name.startswith(_CORE_PREFIXES))


def core_types() -> tuple[int, ...]:
    """Give the type numbers of the core PMUs."""
    return tuple(_kernel.number(f"{_DEVICES}/{name}/type") or 0 for name in core())


def core_events() -> frozenset[str]:
    """Give the names of the events that the kernel lists for any of the core PMUs."""
    return frozenset(event for name in core() for event in events(name))


def user_access() -> int:
    """
    Give the bits of config1 that ask for reading in user space; 0 where that needs no asking.

    On arm64 an event has to be opened for it, and ``kernel.perf_user_access`` has to allow it
    (Documentation/arch/arm64/perf.rst).
    """
    if _kernel.text("/proc/sys/kernel/perf_user_access") != "1":
        return 0
    layouts = (_BITS.fullmatch(_kernel.text(f"{_DEVICES}/{name}/format/rdpmc") or "") for name in core())
    found = next((layout for layout in layouts if layout is not None and layout[1] == "config1"), None)
    bits = parse_ranges(found[2]) if found else ()
    return sum(1 << bit for bit in bits if bit < _WORD)


def read_in_user_space() -> bool:
    """
    Tell whether the kernel lets user space read the counters' registers.

    x86 says so in each PMU's file ``rdpmc`` (Documentation/ABI/testing/sysfs-bus-event_source-devices).
    """
    x86 = any(_kernel.text(f"{_DEVICES}/{name}/rdpmc") in ("1", "2") for name in core())
    return x86 or user_access() != 0


def events(pmu: str) -> tuple[str, ...]:
    """Give the names of the events that the kernel lists for a PMU."""
    return tuple(
        name
        for name in _kernel.names(f"{_DEVICES}/{pmu}/events")
        if not name.endswith((".scale", ".unit", ".snapshot", ".per-pkg"))
    )


def cpus(pmu: str) -> tuple[int, ...]:
    """Give the CPUs on which a PMU that counts for several is opened; none for core PMUs."""
    mask = _kernel.text(f"{_DEVICES}/{pmu}/cpumask")
    return () if mask is None else parse_ranges(mask)


def parse_ranges(text: str) -> tuple[int, ...]:
    """Give the numbers that a kernel list such as ``0,4-6`` means; none if it is no such list."""
    if not _LIST.fullmatch(text):
        return ()
    ends = [part.partition("-") for part in text.split(",")]
    return tuple(n for first, _, last in ends for n in range(int(first), int(last or first) + 1))


def encode(name: str, pmu: str, terms: str) -> tuple[Encoding, bool]:
    """
    Encode ``pmu/terms/``; the second value says whether the kernel itself lists the event.

    Args:
        name: The whole event as the user wrote it, for messages.
        terms: Terms ``key=value`` between commas; a key alone is an event of the PMU, or 1.

    Raises:
        EventUnavailableError: This machine has no such PMU.
        EventNameError: The PMU has no such event or term, or a value is too large for its bits.
    """
    number = _kernel.number(f"{_DEVICES}/{pmu}/type")
    if number is None:
        have = ", ".join(listed()) or "none"
        message = f"cannot count {name}: this machine has no PMU {pmu}. Its PMUs are: {have}"
        raise EventUnavailableError(message, event=name)
    known = events(pmu)
    words = {"config": 0, "config1": 0, "config2": 0}
    from_kernel = False
    for term in filter(None, (part.strip() for part in terms.split(","))):
        if "=" not in term and term in known:
            from_kernel = True
            for inner in (_kernel.text(f"{_DEVICES}/{pmu}/events/{term}") or "").split(","):
                _add(words, name, pmu, inner.strip())
        else:
            _add(words, name, pmu, term)
    return Encoding(number, **words), from_kernel


def _add(words: dict[str, int], name: str, pmu: str, term: str) -> None:
    key, _, value = term.partition("=")
    try:
        number = int(value, 0) if value else 1
    except ValueError:
        message = f"cannot read {name}: {value!r} in {term!r} is no number"
        raise EventNameError(message, event=name) from None
    if key in words:
        word, bits = key, tuple(range(_WORD))
    else:
        word, bits = _bits(name, pmu, key)
    if not 0 <= number < 1 << len(bits):
        message = (
            f"cannot read {name}: {term} does not fit into the {len(bits)} bits that {pmu} has for {key}"
        )
        raise EventNameError(message, event=name)
    for i, bit in enumerate(bits):
        words[word] |= (number >> i & 1) << bit


def _bits(name: str, pmu: str, key: str) -> tuple[str, tuple[int, ...]]:
    known = _kernel.names(f"{_DEVICES}/{pmu}/format")
    layout = _BITS.fullmatch(_kernel.text(f"{_DEVICES}/{pmu}/format/{key}") or "") if key in known else None
    bits = parse_ranges(layout[2]) if layout else ()
    if layout is None or not bits or max(bits) >= _WORD:
        choices = (*known, *events(pmu))
        nearest = tuple(difflib.get_close_matches(key, choices, n=3))
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"it has {', '.join(choices)}"
        message = f"cannot read {name}: the PMU {pmu} has no term or event {key!r}; {hint}"
        raise EventNameError(message, event=name, nearest=nearest)
    return layout[1], bits


def instances(pmu: str) -> tuple[str, ...]:
    """Give the PMUs that a name means: itself, or else those with a number behind it, in their order."""
    if pmu in listed():
        return (pmu,)
    numbered = ((name, name.removeprefix(f"{pmu}_")) for name in listed() if name.startswith(f"{pmu}_"))
    found = [(int(number), name) for name, number in numbered if number.isdecimal() and number.isascii()]
    return tuple(name for _, name in sorted(found))


def scale(pmu: str, event: str) -> tuple[float, str]:
    """Give the scale and unit that the kernel has for an event that it lists; 1 and "" without."""
    folder = f"{_DEVICES}/{pmu}/events"
    try:
        factor = float(_kernel.text(f"{folder}/{event}.scale") or 1)
    except ValueError:
        return 1.0, ""
    if not 0 < factor < float("inf"):
        return 1.0, ""
    return factor, _kernel.text(f"{folder}/{event}.unit") or ""


def name_of(kind: int) -> str:
    """Name the PMU of a type number; the kernel's own counting is ``software`` or ``breakpoint``."""
    fixed = {_kernel.TYPE_SOFTWARE: "software", _kernel.TYPE_BREAKPOINT: "breakpoint"}
    if kind in fixed:
        return fixed[kind]
    if kind in (_kernel.TYPE_HARDWARE, _kernel.TYPE_HW_CACHE, _kernel.TYPE_RAW):
        return "+".join(core()) or "cpu"
    return _name_of(kind) or str(kind)


def _name_of(kind: int) -> str | None:
    return next((name for name in listed() if _kernel.text(f"{_DEVICES}/{name}/type") == str(kind)), None)


def counts_cpus_only(kind: int) -> bool:
    """Tell whether a PMU counts for several CPUs together and so for no task."""
    if kind <= _kernel.TYPE_BREAKPOINT:
        return False
    name = _name_of(kind)
    return name is not None and name not in core() and _kernel.text(f"{_DEVICES}/{name}/cpumask") is not None


def cpus_of(kind: int) -> tuple[int, ...]:
    """Give the CPUs on which to open an event of this type for the whole machine."""
    if kind > _kernel.TYPE_BREAKPOINT and (name := _name_of(kind)) is not None:
        own = cpus(name) or parse_ranges(_kernel.text(f"{_DEVICES}/{name}/cpus") or "")
        if own:
            return own
    return parse_ranges(_kernel.text("/sys/devices/system/cpu/online") or "") or (0,)
