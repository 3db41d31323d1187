"""What a report says, apart from how it is written: headings, paragraphs, lists, tables, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile import plot
from formfn_profile.correlate_text import (
    SLOPE_COLUMNS,
    association_line,
    correlation_lines,
    slope_cells,
    slope_keys,
)
from formfn_profile.correlation import compare_slopes, correlations, slopes
from formfn_profile.errors import ResultsError
from formfn_profile.findings import VERDICTS, advise, check
from formfn_profile.flags import flags
from formfn_profile.notes import notes
from formfn_profile.observations import observations, speed_up
from formfn_profile.plot import style
from formfn_profile.results import Record, pair
from formfn_profile.table import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.figure import Figure

    from formfn_profile.ceilings import Ceilings
    from formfn_profile.findings import Result
    from formfn_profile.observations import Observation

MISSING = "-"
_FIGURES_SHOWN = 6

_MACHINE = {
    "cpu": "Processor",
    "caches": "Caches",
    "cores": "Cores",
    "cpus": "CPUs",
    "affinity": "CPUs allowed",
    "cpu_quota": "CPU quota",
    "memory_bytes": "Memory",
    "virtual": "Virtual machine",
    "architecture": "Architecture",
    "system": "System",
    "kernel": "Kernel",
    "governor": "Frequency governor",
}

_METHOD = """\
Latency is timed natively, with no simulator running: warm-up calls until it has settled, then each call
alone by a monotonic clock. Given is the median; its 95% interval is that of order statistics, and holds
within a process.

Speed-up is native PyTorch's latency over that of the same network, weights and input, in single precision.
FLOPs are floating-point operations: a multiply-add is two.

An LLC miss is a 64-byte line that the last-level cache had to read from memory. Simulated misses come from
the same program under a model of the caches named, with every data access of the real kernels: write-back,
no prefetcher.

A finding is inconclusive where the figures lie within 5% of its threshold (counts: 10%), where the two
readings of a percentage disagree, or where not all it speaks of was measured.
"""


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A cell: its text and the number or text it sorts by."""

    text: str
    key: float | str | None = None


@dataclass(frozen=True)
class Table:
    """A table; `kind` is a name for its looks."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: str = "plain"


@dataclass(frozen=True)
class Drawing:
    """A picture, with its name and title."""

    name: str
    title: str
    figure: Figure


Block = Paragraph | Bullets | Table | Drawing


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A report: its title, one sentence of summary, and its sections."""

    title: str
    summary: str
    sections: tuple[Section, ...]


def compose(records: Sequence[Record], ceilings: Ceilings | None = None) -> Report:
    """
    Return the report of one machine's records.

    Raises:
        ResultsError: There is no record.
    """
    if not records:
        raise ResultsError("nothing to report: there is no record. Measure first")
    results = check(records)
    verdicts = [each.finding.verdict for each in results]
    words = {"holds": "hold", "doesn't": "don't"}
    counts = ", ".join(f"{verdicts.count(name)} {words.get(name, name)}" for name in VERDICTS)
    days = sorted({record.time[:10] for record in records})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return Report(
        title="Does form follow function?",
        summary=(
            f"{style.machine(_timed_on(records))}. {len(records)} records of {span}."
            f" The paper's {len(results)} findings: {counts}."
        ),
        sections=(
            Section("Machine", (_machine(records),)),
            Section("Method", tuple(map(Paragraph, _METHOD.split("\n\n")))),
            Section("Figures", _figures(records, ceilings)),
            Section("The paper's findings", _claims(results)),
            Section("What goes with latency", _correlation(records)),
            Section("All points", (_points(records),)),
            Section("Flags", (_flags(records),)),
            Section("What ran", (Bullets(_ran(records)),)),
        ),
    )


def _timed_on(records: Sequence[Record]) -> Mapping[str, Any]:
    """Return the machine that is reported: what was simulated may have run on any."""
    timed = (record.machine for record in records if record.launcher == "native")
    return next(timed, records[0].machine)


def _machine(records: Sequence[Record]) -> Table:
    facts = _timed_on(records)
    versions: dict[str, str] = {}
    for record in records:
        versions.update(record.versions)
    rows = [
        (Cell(title), Cell(_fact(name, facts[name])))
        for name, title in _MACHINE.items()
        if facts.get(name) is not None
    ]
    rows += [(Cell(name), Cell(str(version))) for name, version in sorted(versions.items())]
    return Table(("", ""), tuple(rows), "facts")


def _fact(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "memory_bytes" and isinstance(value, int):
        return f"{value / 2**30:.1f} GiB"
    return str(value)


def _figures(records: Sequence[Record], ceilings: Ceilings | None) -> tuple[Block, ...]:
    drawn: list[Block] = []
    missing = []
    for name, picture in plot.FIGURES.items():
        try:
            drawn.append(Drawing(name, picture.title, picture.draw(records, ceilings)))
        except ResultsError as error:
            missing.append(f"{picture.title} ({name}): {error}")
    return (*drawn, Bullets(tuple(missing))) if missing else tuple(drawn)


def _claims(results: Sequence[Result]) -> tuple[Block, ...]:
    rows = []
    for number, each in enumerate(results):
        more = len(each.finding.figures) - _FIGURES_SHOWN
        shown = [*map(str, each.finding.figures[:_FIGURES_SHOWN]), *([f"{more} more"] if more > 0 else [])]
        here = "; ".join(shown)
        said = ". ".join(filter(None, (here, each.finding.remark)))
        rows.append(
            (
                Cell(each.finding.verdict),
                Cell(f"{each.claim.statement}.", number),
                Cell(said or MISSING),
                Cell(f"{each.claim.paper} ({each.claim.where})"),
                Cell(each.claim.method),
            )
        )
    advice = tuple(f"{each.support}: {each.text}" for each in advise(results))
    return (
        Table(("verdict", "finding", "here", "in the paper", "how it is tested"), tuple(rows), "claims"),
        Paragraph("The paper's advice, as far as these records support it:"),
        Bullets(advice),
    )


def _correlation(records: Sequence[Record]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for each in correlations(records):
        first, *rest = correlation_lines(each)
        blocks += [Paragraph(first), Bullets(tuple(line.strip() for line in rest))]
    found = slopes(records)
    if not found:
        return tuple(blocks)
    rows = tuple(tuple(map(Cell, slope_cells(each), slope_keys(each))) for each in found)
    blocks += [Paragraph(f"What one block adds ({found[0].label}):"), Table(SLOPE_COLUMNS, rows, "numbers")]
    for backend, across in compare_slopes(found).items():
        blocks += [
            Paragraph(f"For a block, over patterns and widths, {backend}:"),
            Bullets(tuple(association_line(each) for each in across)),
        ]
    return tuple(blocks)


_POINT_COLUMNS = (
    "network",
    "depth",
    "width",
    "pixels",
    "batch",
    "backend",
    "threads",
    "GFLOPs",
    "latency, ms",
    "95% interval",
    "speed-up",
    "instructions",
    "LLC",
    "misses",
    "missed",
)


def _points(records: Sequence[Record]) -> Table:
    every = observations(records)
    rows = [row for one in every if one.measured for row in _rows(one, every)]
    return Table(_POINT_COLUMNS, tuple(rows), "numbers")


def _rows(one: Observation, every: Sequence[Observation]) -> Iterable[tuple[Cell, ...]]:
    point, taken, gain = one.point, one.latency(), speed_up(one, every)
    precision = "" if point.precision == "f32" else f" {point.precision}"
    first = (
        Cell(point.network, point.network),
        _count(point.depth),
        _count(point.width),
        _count(point.resolution),
        _count(point.batch),
        Cell(f"{point.backend}{precision}", f"{point.backend}{precision}"),
        _count(point.threads),
        _number(None if point.flops is None else point.flops / 1e9, ".3g"),
        _number(taken.value * 1e3 if taken else None, ".4g"),
        Cell(f"{taken.low * 1e3:.4g} - {taken.high * 1e3:.4g}", taken.low) if taken else Cell(MISSING),
        Cell(f"{gain.value:.2f}x", gain.value) if gain else Cell(MISSING),
    )
    names = (
        dict.fromkeys(count.cache for count in one.counted.counts if count.event == "LLC-misses")
        if one.counted
        else {}
    )
    for name in names or (None,):
        figures = one.cache(name)
        yield (
            *first,
            _quantity(figures.instructions if figures else None),
            Cell(MISSING if figures is None else name or "hardware"),
            _quantity(figures.misses if figures else None),
            Cell(MISSING)
            if figures is None or figures.miss_rate is None
            else Cell(style.share(figures.miss_rate), figures.miss_rate),
        )


def _count(value: int | None) -> Cell:
    return Cell(MISSING) if value is None else Cell(str(value), value)


def _number(value: float | None, form: str) -> Cell:
    return Cell(MISSING) if value is None else Cell(format(value, form), value)


def _quantity(value: float | None) -> Cell:
    return Cell(MISSING) if value is None else Cell(quantity(value), value)


def _flags(records: Sequence[Record]) -> Block:
    rows = [
        (Cell(row.timed.title), Cell(row.point.backend), Cell(flag.name), Cell(flag.text), Cell(flag.remedy))
        for row in pair(records)
        if row.timed
        for flag in flags(row.timed)
    ]
    if not rows:
        return Paragraph("No timed point raised a flag.")
    return Table(("point", "backend", "doubt", "what was seen", "what may help"), tuple(rows))


def _ran(records: Sequence[Record]) -> tuple[str, ...]:
    """The notes of a study, without the doubts that have a table of their own."""
    return tuple(line.strip() for line in notes(records, "") if not line.startswith("Doubtful ("))
