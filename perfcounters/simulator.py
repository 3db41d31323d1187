"""
llcsim: counts of cache misses from a model of the caches, on machines without counters.

A program is started under the simulator by what `command` gives; inside it `recording`,
`zero` and `read` count a piece of code::

    argv, environment = simulator.command([sys.executable, "work.py"], caches.resolve("host,paper"))

    # in work.py
    with simulator.recording():
        f()  # one call to settle: translations are made, caches filled
        simulator.zero()
        f()
        counts = simulator.read()
"""

from __future__ import annotations

import json
import os
from array import array
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from perfcounters import _perf
from perfcounters._llcsim_build import TOOL, ensure_built
from perfcounters.caches import Level, Processor
from perfcounters.errors import SimulatorStateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "CacheCounts",
    "SimulatedCounts",
    "active",
    "command",
    "ensure_built",
    "load_counts",
    "processors",
    "read",
    "recording",
    "zero",
]

# Of csrc/llcsim/requests.h.
_PING, _ON, _OFF, _ZERO, _READ = range(0x4C43_0000, 0x4C43_0005)
_PROTOCOL = 1
_COMMON_WORDS, _PROCESSOR_WORDS = 3, 5

Cpuid = Literal["model", "valgrind"]

_PROCESSORS_VARIABLE = "FORMFN_LLCSIM_PROCESSORS"


@dataclass(frozen=True)
class CacheCounts:
    """
    What one modelled processor's caches did, in events.

    Attributes:
        processor: Name of the `Processor`.
        l1d_misses: Accesses (one for each line touched) that missed the L1d.
        l2_misses: Those that missed the L2 too; None where there is no L2.
        llc_references: Demand accesses that reached the LLC.
        llc_misses: Those that missed it: lines read from memory.
        llc_writebacks: Dirty lines written to memory.
    """

    processor: str
    l1d_misses: int
    l2_misses: int | None
    llc_references: int
    llc_misses: int
    llc_writebacks: int

    @property
    def miss_rate(self) -> float | None:
        """LLC misses per LLC reference; None without references."""
        return self.llc_misses / self.llc_references if self.llc_references else None


@dataclass(frozen=True)
class SimulatedCounts:
    """Instructions, data reads and writes of the program, and each model's `CacheCounts`."""

    instructions: int
    reads: int
    writes: int
    caches: tuple[CacheCounts, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SimulatedCounts:
        """Make counts from what `to_dict` gave."""
        caches = tuple(CacheCounts(**cache) for cache in fields["caches"])
        return cls(fields["instructions"], fields["reads"], fields["writes"], caches)


def _geometry(level: Level | None) -> str:
    return "none" if level is None else f"{level.size}/{level.ways}"


def command(
    argv: Sequence[str],
    processors: Sequence[Processor],
    *,
    record_from_start: bool = False,
    output: Path | None = None,
    exact_fma: bool = False,
    cpuid: Cpuid = "model",
) -> tuple[list[str], dict[str, str]]:
    """
    Give the command that runs a program under llcsim, and the environment to add.

    Args:
        argv: The program and its arguments.
        processors: What to model, all in the same run.
        record_from_start: Record the whole program; otherwise only inside `recording`.
        output: A file for the whole program's counts, as JSON (`load_counts` reads it).
        exact_fma: Emulate fused multiply-adds with one rounding, as Valgrind does, which
            is some fifty times slower than with two.
        cpuid: The caches that the CPUID instruction tells the program, by whose sizes libraries
            block their loops: those of the first of `processors`, or as Valgrind has them
            (256 KiB of L2 and 8 MiB of L3).

    Raises:
        SimulatorMissingError: No Valgrind or no compiler.
        SimulatorBuildError: The tool does not build here.
    """
    folder = ensure_built()
    options = [
        f"--tool={TOOL}",
        "--quiet",
        "--vgdb=no",
        "--child-silent-after-fork=yes",
        *(f"--cache={_geometry(p.l1d)}:{_geometry(p.l2)}:{_geometry(p.llc)}" for p in processors),
        f"--record-from-start={'yes' if record_from_start else 'no'}",
        f"--exact-fma={'yes' if exact_fma else 'no'}",
        f"--cpuid={cpuid}",
    ]
    if output is not None:
        options.append(f"--counts-file={output}")
    environment = {
        "VALGRIND_LIB": str(folder),
        _PROCESSORS_VARIABLE: json.dumps([p.to_dict() for p in processors]),
    }
    return ["valgrind", *options, *argv], environment


def load_counts(output: Path, processors: Sequence[Processor]) -> SimulatedCounts:
    """Read the counts file of a whole program that ran with these processors."""
    fields = json.loads(output.read_text(encoding="ascii"))
    for cache, processor in zip(fields["caches"], processors, strict=True):
        cache["processor"] = processor.name
        if processor.l2 is None:
            cache["l2_misses"] = None
    return SimulatedCounts.from_dict(fields)


def active() -> bool:
    """Tell whether this program runs under llcsim."""
    return _perf.lib.llcsim_request(_PING, 0, 0, 0) == _PROTOCOL


def processors() -> tuple[Processor, ...]:
    """
    Give the processors modelled around this program.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    _require_active()
    described = json.loads(os.environ[_PROCESSORS_VARIABLE])
    return tuple(Processor.from_dict(fields) for fields in described)


def _require_active() -> None:
    if not active():
        message = (
            "this program does not run under the cache simulator: start it with the command that"
            " perfcounters.simulator.command gives"
        )
        raise SimulatorStateError(message)


@contextmanager
def recording() -> Iterator[None]:
    """
    Record what runs inside. The first call in it is slow, as code is translated again.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    _require_active()
    _perf.lib.llcsim_request(_ON, 0, 0, 0)
    try:
        yield
    finally:
        _perf.lib.llcsim_request(_OFF, 0, 0, 0)


def zero() -> None:
    """Set all counts to zero; the modelled caches keep their lines."""
    _perf.lib.llcsim_request(_ZERO, 0, 0, 0)


def read() -> SimulatedCounts:
    """
    Read the counts since `zero`.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    modelled = processors()
    n = _COMMON_WORDS + _PROCESSOR_WORDS * len(modelled)
    words = array("Q", bytes(8 * n))
    address, _ = words.buffer_info()
    if _perf.lib.llcsim_request(_READ, address, n, 0) != n:
        message = f"the cache simulator models other caches than {_PROCESSORS_VARIABLE} says"
        raise SimulatorStateError(message)
    instructions, reads, writes, *rest = words
    caches = tuple(
        CacheCounts(
            processor=p.name,
            l1d_misses=rest[_PROCESSOR_WORDS * i],
            l2_misses=None if p.l2 is None else rest[_PROCESSOR_WORDS * i + 1],
            llc_references=rest[_PROCESSOR_WORDS * i + 2],
            llc_misses=rest[_PROCESSOR_WORDS * i + 3],
            llc_writebacks=rest[_PROCESSOR_WORDS * i + 4],
        )
        for i, p in enumerate(modelled)
    )
    return SimulatedCounts(instructions, reads, writes, caches)
