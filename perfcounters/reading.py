"""What was counted: one `Count` an event, together a `Reading`. Values only; nothing here counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from perfcounters._names import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Count", "Reading"]

LINE_BYTES = 64


@dataclass(frozen=True)
class Count:
    """
    One event's count with what it is.

    Attributes:
        event: The name that was asked for.
        value: Events, or nanoseconds for clocks; None where it could not be had.
        encoding: What was really counted, as perf writes it.
        source: ``hardware`` or ``software`` (the kernel).
        scope: Whose events: ``thread``, ``process``, ``tree`` or ``cpu``.
        time_enabled_ns: Time that the counted threads ran meanwhile, summed over them, in ns.
        time_running_ns: The part of it in which the event was on a counter.
        scaled: Whether `value` is an estimate, raw x enabled / running for each thread.
        exclusions: What was left out: ``kernel``, ``user``.
        threads: Threads attached to; those that they created later are counted too.
        definition: The event in a sentence.
        reason: Why `value` is None; None otherwise.
        raw: What the counters held, before scaling.
        group: Events of one group were counted at the same time; only these give ratios.
        pmu: Name of the PMU that counted, as sysfs has it; ``software`` is the kernel itself.
        unit: Of `quantity`: ``ns``, ``bytes``, ``MiB``, ...; empty for a plain number of events.
        scale: What one event is in `unit`.
        validated: Of LLC events: whether this encoding has counted known misses right on this machine
            (`trust.llc`, ``python -m perfcounters doctor``); None of all others.
    """

    event: str
    value: int | None
    encoding: str
    source: str
    scope: str
    time_enabled_ns: int
    time_running_ns: int
    scaled: bool
    exclusions: tuple[str, ...]
    threads: int
    definition: str
    reason: str | None
    raw: int | None = None
    group: int = 0
    pmu: str = ""
    unit: str = ""
    scale: float = 1.0
    validated: bool | None = None

    @property
    def quantity(self) -> float | None:
        """`value` in `unit`, by the kernel's scale."""
        return None if self.value is None else self.value * self.scale

    def __str__(self) -> str:
        """Write name and value, or why there is none."""
        value = f"not counted ({self.reason})" if self.value is None else _amount(self)
        marks = [f"no {part}" for part in self.exclusions] + (["scaled"] if self.scaled else [])
        return f"{self.event} {value}" + (f" [{', '.join(marks)}]" if marks else "")


class Reading:
    """Counts by event name. Readings add up and subtract, event by event."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Iterable[Count]) -> None:
        self._counts = {count.event: count for count in counts}

    def __getitem__(self, event: str) -> Count:
        """
        Give one event's count.

        Raises:
            KeyError: The event was not asked for.
        """
        return self._counts[event]

    def __iter__(self) -> Iterator[Count]:
        return iter(self._counts.values())

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, event: object) -> bool:
        return event in self._counts

    def __eq__(self, other: object) -> bool:
        return self._counts == other._counts if isinstance(other, Reading) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        scopes = ", ".join(dict.fromkeys(count.scope for count in self))
        return f"<Reading ({scopes}): {', '.join(map(str, self))}>"

    def __add__(self, other: Reading) -> Reading:
        """Add two readings of the same events; a count missing in one is missing in the sum."""
        return self._combined(other, 1)

    def __sub__(self, other: Reading) -> Reading:
        """Subtract a reading of the same events; a difference below zero is no count."""
        return self._combined(other, -1)

    def _combined(self, other: Reading, sign: int) -> Reading:
        if self._counts.keys() != other._counts.keys():
            message = "readings of different events neither add nor subtract"
            raise ValueError(message)
        return Reading(_combined(self[event], other[event], sign) for event in self._counts)

    @property
    def ipc(self) -> float | None:
        """Instructions per cycle; None unless both were counted at the same time."""
        return self._ratio("instructions", "cycles")

    @property
    def mpki(self) -> float | None:
        """LLC misses per thousand instructions; None unless both were counted at the same time."""
        ratio = self._ratio("LLC-misses", "instructions")
        return None if ratio is None else 1000 * ratio

    @property
    def miss_rate(self) -> float | None:
        """LLC misses per LLC reference; None unless both were counted at the same time."""
        return self._ratio("LLC-misses", "LLC-references")

    @property
    def miss_bytes(self) -> int | None:
        """Bytes of the lines that missed the LLC, 64 each."""
        misses = self._find("LLC-misses")
        return None if misses is None or misses.value is None else LINE_BYTES * misses.value

    def _ratio(self, above: str, below: str) -> float | None:
        one, other = self._find(above), self._find(below)
        if one is None or other is None or one.group != other.group or one.exclusions != other.exclusions:
            return None
        if one.value is None or not other.value:
            return None
        return one.value / other.value

    def _find(self, name: str) -> Count | None:
        """Give the count of an event of the catalogue, by whichever of its names and modifiers."""
        exact = self._counts.get(name)
        return exact or next((count for count in self if canonical(count.event) == name), None)

    def table(self) -> str:
        """Write a line an event: value and unit, name, scope, encoding, what is special."""
        rows = []
        for count in self:
            threads = f" of {count.threads}" if count.threads > 1 else ""
            where = count.scope + threads
            rows.append((_amount(count), count.event, where, count.encoding, "; ".join(_notes(count))))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = (
            (f"{row[0]:>{widths[0]}}", *(f"{row[i]:<{widths[i]}}" for i in (1, 2, 3)), row[4]) for row in rows
        )
        return "\n".join("  ".join(line).rstrip() for line in lines)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Give plain values, event by event."""
        return {count.event: asdict(count) | {"exclusions": list(count.exclusions)} for count in self}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Mapping[str, Any]]) -> Reading:
        """Make a reading from what `to_dict` gave."""
        return cls(Count(**{**count, "exclusions": tuple(count["exclusions"])}) for count in fields.values())


def _amount(count: Count) -> str:
    if count.value is None or count.quantity is None:
        return "not counted"
    number = f"{count.value:,}" if count.scale == 1 else f"{count.quantity:,.6g}"
    return f"{number} {count.unit}".rstrip()


def _notes(count: Count) -> list[str]:
    notes = [f"without {part}" for part in count.exclusions]
    if count.scaled:
        notes.append(f"scaled, counted {count.time_running_ns / count.time_enabled_ns:.0%} of the time")
    if count.validated is False and count.value is not None:
        notes.append("not validated: see python -m perfcounters doctor")
    return notes + ([count.reason] if count.reason else [])


def _combined(one: Count, other: Count, sign: int) -> Count:
    if (one.encoding, one.exclusions, one.scope) != (other.encoding, other.exclusions, other.scope):
        message = f"two readings counted {one.event} differently: they neither add nor subtract"
        raise ValueError(message)
    value, reason = None, one.reason or other.reason
    raw = None if one.raw is None or other.raw is None else one.raw + sign * other.raw
    if one.value is not None and other.value is not None:
        value = one.value + sign * other.value
    if value is not None and value < 0:
        value, raw, reason = None, None, "the count subtracted was larger"
    return replace(
        one,
        value=value,
        raw=raw,
        reason=reason,
        scaled=one.scaled or other.scaled,
        threads=max(one.threads, other.threads),
        validated=one.validated if one.validated == other.validated else False,
        time_enabled_ns=max(0, one.time_enabled_ns + sign * other.time_enabled_ns),
        time_running_ns=max(0, one.time_running_ns + sign * other.time_running_ns),
    )
