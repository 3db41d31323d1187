"""The table of a study in a terminal, and what has to be said under it, from records only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formfn_profile.results import KEY, LINE_BYTES, Record, Row, pair
from formfn_profile.samples import summarize
from formfn_profile.tabular import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MISSING = "-"
FITS_BELOW = 0.01

_GROUPS = (
    ("", ("depth", "backend", "GFLOPs")),
    ("latency, ms", ("median", "95% interval")),
    ("", ("speed-up", "instr.")),
    ("LLC, a call", ("cache", "misses", "references", "missed", "MPKI")),
    ("bytes a FLOP", ("from", "to memory")),
)
_LEFT = ("network", "backend", "cache")
_EVENTS = {"instr.": "instructions", "misses": "LLC-misses", "references": "LLC-references"}


@dataclass(frozen=True)
class CacheFigures:
    """
    LLC figures of one point, medians a call: of the hardware (`cache` None) or of one modelled processor.

    `miss_rate` is misses / references, `mpki` misses per 1,000 instructions; `bytes_from` and
    `bytes_to` are bytes read from and written to memory per FLOP (64 a miss, an access's or a modelled
    prefetcher's; 64 a write-back). What could not be counted is None.
    """

    cache: str | None
    misses: float | None
    references: float | None
    instructions: float | None
    writebacks: float | None
    flops: int | None
    footprint_lines: float | None
    prefetched: float | None = None

    @property
    def lines_read(self) -> float | None:
        """Lines read from memory."""
        return None if self.misses is None else self.misses + (self.prefetched or 0)

    @property
    def miss_rate(self) -> float | None:
        """LLC misses per LLC reference."""
        return _ratio(self.misses, self.references)

    @property
    def mpki(self) -> float | None:
        """LLC misses per 1,000 instructions."""
        share = _ratio(self.misses, self.instructions)
        return None if share is None else 1000 * share

    @property
    def bytes_from(self) -> float | None:
        """Bytes read from memory per FLOP."""
        return _ratio(None if self.lines_read is None else LINE_BYTES * self.lines_read, self.flops)

    @property
    def bytes_to(self) -> float | None:
        """Bytes written to memory per FLOP."""
        return _ratio(None if self.writebacks is None else LINE_BYTES * self.writebacks, self.flops)

    @property
    def fits(self) -> bool:
        """
        Tell whether lines read from memory are below 1% of those of parameters and activations: the
        network fits in this LLC.
        """
        if self.lines_read is None or not self.footprint_lines:
            return False
        return self.lines_read < FITS_BELOW * self.footprint_lines


def cache_figures(record: Record) -> list[CacheFigures]:
    """
    Return the LLC figures of a counted record: one for each modelled processor, or one for the
    hardware.
    """
    caches = dict.fromkeys(count.cache for count in record.counts if count.event == "LLC-misses")
    return [_figures(record, cache) for cache in caches]


def speed_up(row: Row, rows: Iterable[Row]) -> float | None:
    """
    Return native PyTorch's median latency over this row's, for the same network and precision (f32 for
    int8, which PyTorch does not run here); None where either was not timed.
    """
    twin = next((each for each in rows if _is_torch_twin(each, row)), None)
    if twin is None or twin.timed is None or row.timed is None:
        return None
    ours, theirs = summarize(row.latency()), summarize(twin.latency())
    return theirs.median / ours.median if ours and theirs else None


def tables(records: Sequence[Record]) -> list[Table]:
    """
    Return the tables of a study: one for what differs in depth alone, and one for the networks that have
    none; a row for each network and backend, a line for each cache.
    """
    parts: dict[str, list[Row]] = {}
    every = pair(records)
    for row in every:
        parts.setdefault(_title(row.point), []).append(row)
    return [_table(title, rows, every) for title, rows in parts.items()]


def quantity(value: float | None) -> str:
    """Write a count with three significant digits and k, M, or G; `MISSING` for None."""
    if value is None:
        return MISSING
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * unit:
            return digits(value / unit) + name
    return f"{value:.0f}"


def _figures(record: Record, cache: str | None) -> CacheFigures:
    def value(event: str, of: str | None = cache) -> float | None:
        count = record.count(event, of)
        return None if count is None else count.value

    return CacheFigures(
        cache=cache,
        misses=value("LLC-misses"),
        references=value("LLC-references"),
        instructions=value("instructions", None),
        writebacks=value("LLC-writebacks"),
        flops=record.flops,
        footprint_lines=record.footprint_lines,
        prefetched=value("LLC-prefetch-misses"),
    )


def _title(point: Record) -> str:
    threads = f"{point.threads} thread{'s' if point.threads > 1 else ''}"
    ran = f"batch {point.batch}, {point.precision}, {threads}"
    if point.depth is None:
        return f"networks, {ran}"
    expansion = f", expansion {point.expansion}" if point.expansion else ""
    size = f"width {point.width}{expansion}, {point.resolution}x{point.resolution}"
    return f"{point.network}, {size}, {ran}"


def _table(title: str, rows: Sequence[Row], every: Sequence[Row]) -> Table:
    lines: list[list[str]] = []
    hints: dict[tuple[int, int], str] = {}
    for row in rows:
        hints.update(_hints(row, len(lines)))
        lines += _lines(row, speed_up(row, every))
    first = "network" if rows[0].point.depth is None else "depth"
    return Table(
        title,
        tuple(first if name == "depth" else name for _, group in _GROUPS for name in group),
        lines,
        left=_LEFT,
        keys=(first, "backend", "cache"),
        groups=tuple((heading, len(group)) for heading, group in _GROUPS),
        hints=hints,
    )


def _lines(row: Row, gain: float | None) -> list[list[str]]:
    point = row.point
    latency = summarize(row.latency())
    interval = latency.interval if latency else None
    instructions = row.counted.count("instructions") if row.counted else None
    first = [
        point.network if point.depth is None else str(point.depth),
        point.backend,
        MISSING if point.flops is None else digits(point.flops / 1e9),
        digits(latency.median * 1e3) if latency else MISSING,
        f"{digits(interval[0] * 1e3)} - {digits(interval[1] * 1e3)}" if interval else MISSING,
        MISSING if gain is None else f"{gain:.2f}x",
        quantity(instructions.value if instructions else None),
    ]
    figures = cache_figures(row.counted) if row.counted else []
    if not figures:
        return [[*first, *[MISSING] * 7]]
    return [[*(first if not i else [""] * len(first)), *_cache_cells(each)] for i, each in enumerate(figures)]


def _cache_cells(figures: CacheFigures) -> list[str]:
    rate, mpki = figures.miss_rate, figures.mpki
    return [
        figures.cache or "hardware",
        quantity(figures.misses),
        quantity(figures.references),
        MISSING if rate is None else f"{rate:.1%}",
        MISSING if mpki is None else f"{mpki:.2f}",
        MISSING if figures.bytes_from is None else f"{figures.bytes_from:.3f}",
        MISSING if figures.bytes_to is None else f"{figures.bytes_to:.3f}",
    ]


def _hints(row: Row, line: int) -> dict[tuple[int, int], str]:
    """What each count of a row really is, by its cell."""
    columns = [name for _, group in _GROUPS for name in group]
    found: dict[tuple[int, int], str] = {}
    for i, figures in enumerate(cache_figures(row.counted) if row.counted else ()):
        for column, event in _EVENTS.items():
            cache = None if event == "instructions" else figures.cache
            count = row.counted.count(event, cache) if row.counted else None
            if count is not None and (event != "instructions" or not i):
                found[line + i, columns.index(column)] = count.describe()
    return found


def _is_torch_twin(candidate: Row, row: Row) -> bool:
    one, other = candidate.point, row.point
    precision = "f32" if other.precision == "int8" else other.precision
    if (one.backend, one.precision) != ("torch", precision):
        return False
    return all(
        getattr(one, name) == getattr(other, name) for name in KEY if name not in ("backend", "precision")
    )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def digits(value: float) -> str:
    """Write a number with three significant digits and no exponent."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
