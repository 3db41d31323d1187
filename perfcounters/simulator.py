"""
llcsim: counts of cache misses from a model of the caches, on machines without counters.

A program is started under the simulator by what `command` gives; inside it `recording`,
`zero` and `read` count a piece of code:

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
from typing import TYPE_CHECKING, Literal

from perfcounters import _perf
from perfcounters._layout import fixed_layout_command
from perfcounters._llcsim_build import TOOL, ensure_built
from perfcounters.caches import Level, Processor
from perfcounters.errors import SimulatorStateError
from perfcounters.simulated import (
    COMMON_WORDS,
    CURVE_WAYS,
    PROCESSOR_WORDS,
    CacheCounts,
    CurvePoint,
    SimulatedCounts,
    from_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "PASSIVE_WAITING",
    "CacheCounts",
    "Cpuid",
    "CurvePoint",
    "SimulatedCounts",
    "active",
    "command",
    "counts_of",
    "ensure_built",
    "label_addresses",
    "load_counts",
    "options",
    "processors",
    "read",
    "recording",
    "word_reader",
    "zero",
]

# Of csrc/llcsim/requests.h.
_PING, _ON, _OFF, _ZERO, _READ, _RANGES = range(0x4C43_0000, 0x4C43_0006)
_PROTOCOL = 5
_WAS_ON = 2

Cpuid = Literal["model", "valgrind"]

PASSIVE_WAITING: Mapping[str, str] = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
}
"""Threads of OpenMP pools sleep while they wait: under Valgrind one thread runs at a time, and
spinning would be counted as work."""

_PROCESSORS_VARIABLE = "FORMFN_LLCSIM_PROCESSORS"
_OPTIONS_VARIABLE = "FORMFN_LLCSIM_OPTIONS"


def _geometry(level: Level | None) -> str:
    if level is None:
        return "none"
    return f"{level.size}/{level.ways}" + ("/plru" if level.policy == "plru" else "")


def _cache_option(p: Processor) -> str:
    levels = ":".join(_geometry(level) for level in (p.l1d, p.l2, p.llc))
    kinds = [word for word in (p.inclusion, p.prefetcher) if word not in ("non-inclusive", "none")]
    return ":".join([f"--cache={levels}", *kinds])


def _yes(value: bool) -> str:  # noqa: FBT001
    return "yes" if value else "no"


# Long: for the description of its switches.
def command(  # noqa: PLR0913 - each is one switch of the tool
    argv: Sequence[str],
    processors: Sequence[Processor],
    *,
    record_from_start: bool = False,
    output: Path | None = None,
    curve: bool = False,
    cpuid: Cpuid = "model",
    exact_fma: bool = False,
    fixed_layout: bool = False,
    model_thread: bool = True,
) -> tuple[list[str], dict[str, str]]:
    """
    Give the command that runs a program under llcsim, and the environment to add.

    Args:
        argv: The program and its arguments.
        processors: What to model, all in the same run.
        record_from_start: Record the whole program; otherwise only inside `recording`.
        output: A file for the whole program's counts, as JSON (`load_counts` reads it).
        curve: Count the misses of LLCs of 1 to 64 ways too, each `Processor`'s sets kept.
        cpuid: The caches that the CPUID instruction tells the program, by whose sizes libraries
            block their loops: those of the first of `processors`, or as Valgrind has them
            (256 KiB of L2 and 8 MiB of L3).
        exact_fma: Emulate fused multiply-adds with one rounding, as Valgrind does, which
            is some fifty times slower than with two.
        fixed_layout: The same addresses (no address space randomisation) and the same hash
            seed of Python in each run, so that two runs count nearly the same.
        model_thread: Run the cache model on a thread of its own, beside the program, where there
            is more than one processor; the counts are the same.

    Raises:
        SimulatorMissingError: No Valgrind or no compiler; no `setarch` for a fixed layout.
        SimulatorBuildError: The tool does not build here.
        SimulatorError: This system does not let a program fix its layout.
    """
    folder = ensure_built()
    tool = [
        f"--tool={TOOL}",
        "--quiet",
        "--vgdb=no",
        "--child-silent-after-fork=yes",
        *(_cache_option(p) for p in processors),
        f"--record-from-start={_yes(record_from_start)}",
        f"--curve={_yes(curve)}",
        f"--cpuid={cpuid}",
        f"--exact-fma={_yes(exact_fma)}",
        f"--model-thread={_yes(model_thread)}",
    ]
    if output is not None:
        tool.append(f"--counts-file={output}")
    chosen = {"curve": curve, "cpuid": cpuid, "exact_fma": exact_fma, "fixed_layout": fixed_layout}
    environment = {
        **{name: value for name, value in PASSIVE_WAITING.items() if name not in os.environ},
        "VALGRIND_LIB": str(folder),
        _PROCESSORS_VARIABLE: json.dumps([p.to_dict() for p in processors]),
        _OPTIONS_VARIABLE: json.dumps(chosen),
    }
    if fixed_layout:
        environment["PYTHONHASHSEED"] = "0"
    full = ["valgrind", *tool, *argv]
    return fixed_layout_command(full) if fixed_layout else full, environment


def load_counts(output: Path, processors: Sequence[Processor]) -> SimulatedCounts:
    """
    Read the counts file of a whole program that ran with these processors.

    Raises:
        SimulatorStateError: It ran with others.
    """
    return _counts(json.loads(output.read_text(encoding="ascii")), processors)


def _counts(words: Sequence[int], processors: Sequence[Processor]) -> SimulatedCounts:
    counts = from_words(words, processors)
    if counts is None:
        message = (
            f"the cache simulator gave {len(words)} numbers, which are not those of"
            f" {len(processors)} modelled processors: it was started with others"
        )
        raise SimulatorStateError(message)
    return counts


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


def options() -> dict[str, object]:
    """
    Give what the simulator around this program was started with, and how its pools wait.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    _require_active()
    waiting = {name: os.environ.get(name) for name in PASSIVE_WAITING}
    return {**json.loads(os.environ[_OPTIONS_VARIABLE]), "wait_policy": waiting}


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

    May be nested, or used in a program that is recorded from its start.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    _require_active()
    before = _perf.lib.llcsim_request(_ON, 0, 0, 0)
    try:
        yield
    finally:
        if before != _WAS_ON:
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
    return _counts(word_reader()(), modelled)


def label_addresses(labels: Sequence[Sequence[tuple[int, int]]]) -> None:
    """
    Count LLC misses apart, from now on, at the addresses of up to two labels.

    Args:
        labels: For label 1, then label 2, ranges as (first address, bytes). An address in ranges
            of both has label 1. None at all takes former ones back.

    Raises:
        SimulatorStateError: This program does not run under llcsim, or there are more than 65,536
            ranges once those that touch are joined.
    """
    _require_active()
    flat = [part for one in _joined(labels) for part in one]
    words = array("Q", flat or [0])
    address, _ = words.buffer_info()
    if _perf.lib.llcsim_request(_RANGES, address, len(flat) // 3, 0) == 0:
        message = f"the cache simulator tells no {len(flat) // 3} ranges of addresses apart (65,536 at most)"
        raise SimulatorStateError(message)


def _joined(labels: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int, int]]:
    """Sorted (first, end, label) without overlaps; the lower label keeps what two claim."""
    edges: list[tuple[int, int, int]] = []
    for label, ranges in enumerate(labels, start=1):
        for first, size in ranges:
            if size > 0:
                edges += [(first, label, 1), (first + size, label, -1)]
    edges.sort()
    depth = dict.fromkeys(range(1, len(labels) + 1), 0)
    found: list[tuple[int, int, int]] = []
    since, current = 0, 0
    for address, label, step in edges:
        depth[label] += step
        now = next((each for each, open_ in depth.items() if open_), 0)
        if now == current:
            continue
        if current and address > since:
            if found and found[-1][1:] == (since, current):
                found[-1] = (found[-1][0], address, current)
            else:
                found.append((since, address, current))
        since, current = address, now
    return found


def word_reader() -> Callable[[], array[int]]:
    """
    Give a function that reads the counts as `counts_of` takes them, in some hundred instructions of
    the program's own, where `read` takes many thousands.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    room = COMMON_WORDS + (PROCESSOR_WORDS + CURVE_WAYS) * len(processors())
    words = array("Q", bytes(8 * room))
    address, size = words.buffer_info()
    request = _perf.lib.llcsim_request

    def read_words() -> array[int]:
        return words[: request(_READ, address, size, 0)]

    return read_words


def counts_of(words: Sequence[int]) -> SimulatedCounts:
    """
    Give the counts that `word_reader`'s function read, or the difference of two such, word by word.

    Raises:
        SimulatorStateError: This program does not run under llcsim.
    """
    return _counts(words, processors())
