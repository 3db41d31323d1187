"""
What has to be said under the table, in words: where the counts come from, what ran, what failed, what
is doubtful.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from formfn_profile.brief import brief
from formfn_profile.flags import flags
from formfn_profile.results import Record, Row, pair
from formfn_profile.table import cache_figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from formfn_profile.flags import Flag

_KERNELS_SHOWN = 4
_FLAGS_SHOWN = 3


def notes(records: Sequence[Record], why: str) -> list[str]:
    """Return one sentence or short list a line; `why` says why the counts have the source they have."""
    rows = pair(records)
    return [
        *_source(records, why),
        *_caches(records),
        *_fits(rows),
        *_ran(rows),
        *as_asked(record for row in rows for record in (row.timed, row.counted) if record),
        *_outputs(rows),
        *_doubts(rows),
        *_failures(records),
    ]


def _source(records: Sequence[Record], why: str) -> list[str]:
    counted = [count for record in records for count in record.counts]
    if not counted:
        return [f"Counts: none. {why}".rstrip()]
    source = counted[0].source
    if source == "simulated":
        return [f"Counts: simulated, a call in its steady state, user space. {why}".rstrip()]
    exclusions = counted[0].exclusions
    without = f", without {', '.join(exclusions)}" if exclusions else ""
    scaled = (
        " Some are scaled estimates (more events than counters)." if any(c.scaled for c in counted) else ""
    )
    unproven = sorted({count.event for count in counted if count.validated is False})
    if unproven:
        scaled += f" Known misses have not counted right on this machine: {', '.join(unproven)}."
    return [f"Counts: {source}, scope {counted[0].scope}{without}. {why}{scaled}".rstrip()]


def _caches(records: Sequence[Record]) -> list[str]:
    described: dict[str, str] = {}
    for record in records:
        for cache in record.caches:
            described.setdefault(str(cache["name"]), _describe(cache))
    told = {str(record.simulation["cpuid"]) for record in records if "cpuid" in record.simulation}
    return [
        *(f"Cache {name}: {text}" for name, text in described.items()),
        *([f"CPUID told the simulated programs the caches of {', '.join(sorted(told))}"] if told else []),
    ]


def _describe(cache: Mapping[str, object]) -> str:
    from perfcounters.caches import Processor

    processor = Processor.from_dict(cache)
    return f"{processor.describe()} ({processor.source})"


def _fits(rows: Sequence[Row]) -> list[str]:
    fitting: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        for figures in cache_figures(row.counted) if row.counted else ():
            if figures.fits:
                key = (figures.cache or "this machine's", row.point.backend)
                fitting.setdefault(key, []).append(row.point)
    return [
        f"Fits in the LLC ({cache}): on {backend}, {_titles(points)}"
        " (misses below 1% of the lines of its parameters and activations)"
        for (cache, backend), points in fitting.items()
    ]


def _ran(rows: Sequence[Row]) -> list[str]:
    """Say what each backend ran with; the largest network stands for the others, with the same kernels."""
    shown: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.point.flops or 0):
        if row.timed is not None and row.timed is row.counted:
            runs = {"timed and counted": row.timed}
        else:
            runs = {what: run for what, run in (("timed", row.timed), ("counted", row.counted)) if run}
        for what, record in runs.items():
            cap = f", capped to {record.isa_cap}" if record.isa_cap not in (None, "native") else ""
            head = f"{record.backend}, {what}: {record.precision}, ISA {record.isa or 'not known'}{cap}"
            shown[head] = f"{head}; kernels of {record.title}: {_kernels(record)}"
    return list(shown.values())


def as_asked(records: Iterable[Record]) -> list[str]:
    """Say how much of the networks ran in a precision narrower than f32, where the backend tells."""
    told: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.precision != "f32" and record.operations:
            told.setdefault((record.precision, record.backend), []).append(record)
    lines = []
    for (precision, backend), each in told.items():
        operations, macs = (
            _span([share for record in each if (share := getattr(record, name)) is not None])
            for name in ("operations_as_asked", "macs_as_asked")
        )
        of_macs = f", {macs} of the MACs" if macs else ""
        lines.append(f"In {precision} on {backend}: {operations} of the operations{of_macs}.")
    return lines


def _span(shares: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{share:.1%}" for share in (min(shares), max(shares))) if shares else ()
    return " to ".join(ends)


def _kernels(record: Record) -> str:
    ranked = sorted(record.kernels.items(), key=lambda item: -item[1])
    text = ", ".join(f"{name} x{n}" for name, n in ranked[:_KERNELS_SHOWN])
    rest = len(ranked) - _KERNELS_SHOWN
    return (text or "not known") + (f", and {rest} more kinds" if rest > 0 else "")


def _outputs(rows: Sequence[Row]) -> list[str]:
    errors: dict[str, list[float]] = {}
    unchecked: list[str] = []
    for row in rows:
        once = [row.timed] if row.counted is row.timed else [row.timed, row.counted]
        for record in filter(None, once):
            if record.output_error is not None:
                errors.setdefault(record.precision, []).append(record.output_error)
            elif record is row.timed:
                unchecked.append(f"{record.title} on {record.backend}")
    told = ", ".join(f"{precision} within {max(each):.1g}" for precision, each in errors.items())
    lines = [f"Outputs: {told} of native PyTorch's f32 (largest difference / largest value)."] if told else []
    if unchecked:
        lines.append(f"Outputs not compared, PyTorch cannot read the network: {', '.join(unchecked)}.")
    return lines


def _doubts(rows: Sequence[Row]) -> list[str]:
    seen: dict[str, list[tuple[Record, Flag]]] = {}
    for row in rows:
        for flag in flags(row.timed) if row.timed else ():
            seen.setdefault(flag.name, []).append((row.point, flag))
    lines = []
    for name, each in seen.items():
        shown = "; ".join(
            f"{point.title} on {point.backend}: {flag.text}" for point, flag in each[:_FLAGS_SHOWN]
        )
        rest = f"; and {len(each) - _FLAGS_SHOWN} more" if len(each) > _FLAGS_SHOWN else ""
        lines.append(f"Doubtful ({name}): {shown}{rest}. {each[0][1].remedy}.")
    uncounted = sorted({name for row in rows for name in row.point.uncounted})
    if uncounted:
        lines.append(f"Operations whose FLOPs are not counted: {', '.join(uncounted)}.")
    return lines


def _failures(records: Sequence[Record]) -> list[str]:
    return [
        f"{record.status.capitalize()}: {record.title} on {record.backend}, "
        f"{'simulated' if record.launcher == 'llcsim' else 'native'}: {brief(record.reason)}"
        for record in records
        if record.status != "ok"
    ]


def _titles(points: Sequence[Record]) -> str:
    """The depths of a pattern together, after its name."""
    depths: dict[str, list[int]] = {}
    for point in points:
        depths.setdefault(point.network, []).extend([] if point.depth is None else [point.depth])
    return "; ".join(
        f"{network} depth {', '.join(map(str, sorted(set(each))))}" if each else network
        for network, each in depths.items()
    )
