"""What the API returns: records, findings and correlations that show themselves, as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from formfn_profile import by_layer, claims_text, layer_table, store, table, tabular
from formfn_profile.errors import ResultsError
from formfn_profile.findings import Result, advise, check
from formfn_profile.notes import notes
from formfn_profile.results import Record
from perfcounters._terminal import fitted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    import pandas as pd

    from formfn_profile.by_layer import Layers
    from formfn_profile.correlation import Association, Correlation, Slopes

__all__ = ["Claims", "Correlations", "Results"]

_FIELDS = frozenset(Record.__dataclass_fields__)


@dataclass(frozen=True, repr=False)
class Results(tabular.Shown, Sequence[Record]):
    """
    Records, in the order they were measured: a sequence that shows itself as a table.

    Printed, or as the last line of a notebook's cell, it is the table of latency, FLOPs, LLC misses and
    instructions, a row for each network and backend; under it stands where the counts come from, what ran,
    and what failed and why. Layers have tables of their own in its place. `why` says why the counts come
    from where they do.
    """

    records: tuple[Record, ...]
    why: str = ""

    def where(self, **values: object) -> Results:
        """
        Return the records whose fields have these values: ``where(backend="torch", depth=10)``.

        Raises:
            ResultsError: Records have no such field.
        """
        if unknown := [name for name in values if name not in _FIELDS]:
            raise ResultsError(
                f"records have no field {unknown[0]!r}; there is: {', '.join(sorted(_FIELDS))}"
            )
        kept = (
            record
            for record in self.records
            if all(getattr(record, name) == value for name, value in values.items())
        )
        return Results(tuple(kept), self.why)

    @property
    def failed(self) -> Results:
        """The records of what could not be measured; `reason` says why."""
        return Results(tuple(record for record in self.records if record.status != "ok"), self.why)

    @property
    def layers(self) -> list[Layers]:
        """The layers of each network and backend that was measured layer by layer."""
        return by_layer.of_records(self.records)

    def tables(self) -> list[tabular.Table]:
        """Return the tables that stand for the records: those of layers where there are layers."""
        return [layer_table.table(each) for each in self.layers] or table.tables(self.records)

    def notes(self) -> list[str]:
        """Return what has to be said under the tables, a sentence or short list each."""
        return notes(self.records, self.why) if self.records else ["There is no record."]

    def to_pandas(self) -> pd.DataFrame:
        """
        Return one row a record, with the columns that a file of records has.

        Raises:
            ResultsError: pandas is not installed.
        """
        return store.to_pandas(self.records)

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """
        Write the records to a file of JSON lines, one a record, which `load` and every command reads.

        Raises:
            ResultsError: The file is there and `overwrite` is false, or it cannot be written.
        """
        store.save(self.records, path, overwrite=overwrite)

    def text(self, width: int | None = None) -> str:
        """Return the tables and the notes, folded where they have more columns than `width`."""
        shown = "\n\n".join(each.text(width) for each in self.tables())
        return "\n\n".join(filter(None, (shown, fitted(self.notes(), width))))

    def _repr_html_(self) -> str:
        return tabular.html([*self.tables(), self.notes()])

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: int | slice) -> Record | Results:
        """Return one record, or results of some."""
        if isinstance(index, slice):
            return Results(self.records[index], self.why)
        return self.records[index]


@dataclass(frozen=True, repr=False)
class Claims(tabular.Shown, Sequence[Result]):
    """The paper's findings tested on one machine's records: each a claim and what was found, with figures."""

    results: tuple[Result, ...]

    @classmethod
    def of(cls, records: Iterable[Record]) -> Claims:
        """Test every claim on these records."""
        return cls(tuple(check(records)))

    def text(self, width: int | None = None) -> str:
        """Return the verdicts, the paper's figures beside this machine's, and the advice."""
        return claims_text.render(self.results, advise(self.results), width)

    def _repr_html_(self) -> str:
        head, *lines = claims_text.advice_lines(advise(self.results))
        return tabular.html([claims_text.table(self.results), [head], lines])

    def __len__(self) -> int:
        """Return how many claims there are."""
        return len(self.results)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Claims: ...

    def __getitem__(self, index: int | slice) -> Result | Claims:
        """Return one result, or some."""
        return Claims(self.results[index]) if isinstance(index, slice) else self.results[index]


@dataclass(frozen=True, repr=False)
class Correlations(tabular.Shown):
    """
    How FLOPs, LLC misses, instructions and latency go together on one machine.

    `backends` has the coefficients of each backend over patterns and widths, `slopes` what a block of each
    pattern adds, `blocks` how these go together over patterns and widths, by backend.
    """

    backends: tuple[Correlation, ...]
    slopes: tuple[Slopes, ...]
    blocks: dict[str, list[Association]]

    @classmethod
    def of(cls, records: Sequence[Record]) -> Correlations:
        """Correlate these records."""
        from formfn_profile.correlation import compare_slopes, correlations, slopes

        found = slopes(records)
        return cls(tuple(correlations(records)), tuple(found), compare_slopes(found))

    def text(self, width: int | None = None) -> str:
        """Return coefficients with their intervals, and what a block adds."""
        from formfn_profile.correlate_text import association_line, correlation_lines, slope_lines

        lines = [line for each in self.backends for line in (*correlation_lines(each), "")]
        lines += slope_lines(self.slopes, width)
        for backend, across in self.blocks.items():
            lines += ["", f"For a block, over patterns and widths, {backend}:"]
            lines += [f"  {association_line(each)}" for each in across]
        return fitted(lines, width)

    def _repr_html_(self) -> str:
        from formfn_profile.correlate_text import association_line, correlation_lines, slope_table

        parts: list[tabular.Table | Sequence[str]] = [correlation_lines(each) for each in self.backends]
        if self.slopes:
            parts.append(slope_table(self.slopes))
        for backend, across in self.blocks.items():
            parts.append([f"For a block, {backend}: {association_line(each)}" for each in across])
        return tabular.html(parts)
