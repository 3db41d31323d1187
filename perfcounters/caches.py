"""
The caches of a processor: what the simulator models.

A `Processor` is a private L1d and L2 for each thread before one shared last-level
cache (LLC). Named ones stand in ``processors.json``; ``host`` is this machine.
"""

from __future__ import annotations

import difflib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perfcounters.errors import CacheGeometryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Level", "Processor", "host", "named", "resolve"]

Policy = Literal["lru", "plru"]
Inclusion = Literal["non-inclusive", "inclusive", "exclusive"]
Prefetcher = Literal["none", "next-line"]

LINE_BYTES = 64
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_LEVEL = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?/(\d+)(?:/(lru|plru))?", re.IGNORECASE)
_MOST_TREE_WAYS = 64
_INCLUSIONS: dict[str, Inclusion] = {"inclusive": "inclusive", "exclusive": "exclusive"}
_NEXT_LINE: Prefetcher = "next-line"
_SYSFS = Path("/sys/devices/system/cpu/cpu0/cache")
_NO_GEOMETRY = (
    "cannot tell this machine's caches: neither {sysfs} nor `lscpu -B -C` lists a data cache with"
    " its ways; name the caches to model instead, such as --cache paper or --cache 8M/16"
)


def format_bytes(size: int) -> str:
    """Write a size in bytes with the largest binary unit that divides it, such as ``256 KiB``."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


@dataclass(frozen=True)
class Level:
    """
    One cache: its size in bytes, its ways and what it evicts; lines have 64 bytes.

    `policy` is ``lru``, the line used least recently, or ``plru``: a binary tree of bits of which
    each points away from what was used last.

    Raises:
        CacheGeometryError: The size is not a whole number of sets, or there is no tree of the ways.
    """

    size: int
    ways: int
    policy: Policy = "lru"

    def __post_init__(self) -> None:
        """Check that the size is a whole number of sets, and that a tree's ways are a power of two."""
        if self.size <= 0 or self.ways <= 0 or self.size % (LINE_BYTES * self.ways) != 0:
            message = (
                f"no cache has {self.size} bytes in {self.ways} ways: the size must be a multiple"
                f" of {LINE_BYTES} bytes times the ways"
            )
            raise CacheGeometryError(message)
        if self.policy == "plru" and (self.ways & (self.ways - 1) or self.ways > _MOST_TREE_WAYS):
            message = (
                f"tree-PLRU needs a power of two of ways, {_MOST_TREE_WAYS} at most, and not {self.ways}:"
                " model such a cache with LRU"
            )
            raise CacheGeometryError(message)

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.size // (LINE_BYTES * self.ways)

    @property
    def lines(self) -> int:
        """Number of 64-byte lines."""
        return self.size // LINE_BYTES

    @classmethod
    def parse(cls, text: str) -> Level:
        """
        Read ``SIZE/WAYS``, such as ``4M/16``, ``32768/8`` or, with its policy, ``4M/16/plru``.

        Raises:
            CacheGeometryError: The text has another form, or names no possible cache.
        """
        match = _LEVEL.fullmatch(text.strip())
        if match is None:
            message = f"cannot read the cache {text!r}: expected SIZE/WAYS, such as 4M/16"
            raise CacheGeometryError(message)
        size, unit, ways, policy = match.groups()
        kept: Policy = "plru" if (policy or "").lower() == "plru" else "lru"
        return cls(int(size) * _UNITS[unit.upper()], int(ways), kept)

    def __str__(self) -> str:
        """Write it as ``4 MiB/16-way``, with its policy where that is not LRU."""
        policy = "" if self.policy == "lru" else " tree-PLRU"
        return f"{format_bytes(self.size)}/{self.ways}-way{policy}"


@dataclass(frozen=True)
class Processor:
    """
    The caches of a processor: `l2` is None where there is nothing between L1d and LLC.

    A line that an ``inclusive`` LLC evicts leaves L1d and L2 too. An ``exclusive`` one holds what
    the level before it evicted, and gives a line back when it is used; L2 includes L1d there. A
    ``next-line`` prefetcher fetches the line after one that missed the L2 (or the L1d, where there is
    no L2) into that level.
    """

    name: str
    l1d: Level
    l2: Level | None
    llc: Level
    source: str
    inclusion: Inclusion = "non-inclusive"
    prefetcher: Prefetcher = "none"

    def describe(self) -> str:
        """Say in words which caches these are."""
        behind = f"L1d {self.l1d}" if self.l2 is None else f"L2 {self.l2} and L1d {self.l1d}"
        kind = "" if self.inclusion == "non-inclusive" else f"{self.inclusion} "
        prefetcher = "" if self.prefetcher == "none" else f", with a {self.prefetcher} prefetcher"
        return f"{kind}LLC {self.llc} behind {behind}{prefetcher}"

    def to_dict(self) -> dict[str, object]:
        """Give the fields as plain values, sizes in bytes; the prefetcher where there is one."""
        fields: dict[str, object] = {
            "name": self.name,
            "l1d_bytes": self.l1d.size,
            "l1d_ways": self.l1d.ways,
            "l2_bytes": self.l2.size if self.l2 else None,
            "l2_ways": self.l2.ways if self.l2 else None,
            "llc_bytes": self.llc.size,
            "llc_ways": self.llc.ways,
            "source": self.source,
            "inclusion": self.inclusion,
            "policies": [level.policy for level in (self.l1d, self.l2, self.llc) if level],
        }
        return fields if self.prefetcher == "none" else {**fields, "prefetcher": self.prefetcher}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Processor:
        """Make a processor from what `to_dict` gave."""
        names = ["l1d", "l2", "llc"] if fields["l2_bytes"] is not None else ["l1d", "llc"]
        policies = fields.get("policies", ["lru"] * len(names))
        levels = {
            name: Level(int(fields[f"{name}_bytes"]), int(fields[f"{name}_ways"]), policy)
            for name, policy in zip(names, policies, strict=True)
        }
        return cls(
            fields["name"],
            levels["l1d"],
            levels.get("l2"),
            levels["llc"],
            fields["source"],
            fields.get("inclusion", "non-inclusive"),
            fields.get("prefetcher", "none"),
        )


def host(sysfs: Path = _SYSFS, lscpu: Callable[[], str] | None = None) -> Processor:
    """
    Find this machine's own caches, in sysfs or else by ``lscpu -B``.

    Where no L3 is listed the L2 is the last level.

    Raises:
        CacheGeometryError: Neither source lists them, or their lines are not of 64 bytes.
    """
    levels, source = _levels_in_sysfs(sysfs), "sysfs"
    if not _complete(levels):
        levels, source = _levels_by_lscpu(lscpu or _run_lscpu), "lscpu"
    if not _complete(levels):
        raise CacheGeometryError(_NO_GEOMETRY.format(sysfs=sysfs))
    last = max(levels)
    return Processor(
        "host",
        l1d=levels[1],
        l2=levels[2] if last > 2 and 2 in levels else None,
        llc=levels[last],
        source=f"this machine's caches, by {source}",
    )


def _complete(levels: Mapping[int, Level]) -> bool:
    return 1 in levels and max(levels) > 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _levels_in_sysfs(folder: Path) -> dict[int, Level]:
    levels: dict[int, Level] = {}
    for index in sorted(folder.glob("index*")):
        size, ways, line = (
            _read(index / name) for name in ("size", "ways_of_associativity", "coherency_line_size")
        )
        kind, level = _read(index / "type"), _read(index / "level")
        if kind in ("Data", "Unified") and level.isdigit() and ways.isdigit() and int(ways):
            levels[int(level)] = _host_level(f"{size}/{ways}", line)
    return levels


def _run_lscpu() -> str:
    program = shutil.which("lscpu")
    if program is None:
        return ""
    done = subprocess.run(
        [program, "-B", "-C=LEVEL,TYPE,ONE-SIZE,WAYS,COHERENCY-SIZE", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def _levels_by_lscpu(run: Callable[[], str]) -> dict[int, Level]:
    try:
        return {
            int(row["level"]): _host_level(f"{row['one-size']}/{row['ways']}", row["coherency-size"])
            for row in json.loads(run() or "{}").get("caches", [])
            if row["type"] in ("Data", "Unified") and row["ways"]
        }
    except CacheGeometryError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def _host_level(text: str, line: str | int) -> Level:
    if str(line) != str(LINE_BYTES):
        message = (
            f"this machine's cache lines have {line} bytes, and the simulator models lines of"
            f" {LINE_BYTES}: name the caches to model, such as --cache paper"
        )
        raise CacheGeometryError(message)
    return Level.parse(text)


@cache
def named() -> Mapping[str, Processor]:
    """Give the processors of ``processors.json``, by name."""
    text = resources.files("perfcounters").joinpath("processors.json").read_text("utf-8")
    return {
        name: Processor(
            name,
            l1d=Level.parse(fields["l1d"]),
            l2=Level.parse(fields["l2"]) if fields["l2"] else None,
            llc=Level.parse(fields["llc"]),
            source=fields["source"],
            inclusion=fields["inclusion"],
        )
        for name, fields in json.loads(text).items()
    }


def _one(spec: str) -> Processor:
    plain = spec.removesuffix(f":{_NEXT_LINE}")
    processor = _without_prefetcher(plain)
    return processor if plain == spec else replace(processor, name=spec, prefetcher=_NEXT_LINE)


def _without_prefetcher(spec: str) -> Processor:
    if spec == "host":
        return host()
    if spec in named():
        return named()[spec]
    size, colon, word = spec.partition(":")
    if _LEVEL.fullmatch(size) and (not colon or word in _INCLUSIONS):
        own = host()
        source = "the LLC as asked for, behind this machine's own L1d and L2"
        inclusion = _INCLUSIONS.get(word, "non-inclusive")
        return Processor(spec, own.l1d, own.l2, Level.parse(size), source, inclusion)
    known = ["host", *named()]
    near = difflib.get_close_matches(spec, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    message = (
        f"unknown cache {spec!r}{meant} Known: {', '.join(known)}, or SIZE/WAYS such as 6M/12"
        " (6M/12:inclusive, 32M/16:exclusive, 4M/16/plru), each with :next-line after it or not"
    )
    raise CacheGeometryError(message)


def resolve(
    spec: str | Iterable[str], *, l2: Level | Literal["keep"] | None = "keep"
) -> tuple[Processor, ...]:
    """
    Give the processors that a list such as ``host,paper,6M/12`` names.

    Args:
        spec: Names of `named`, ``host``, or ``SIZE/WAYS`` (that LLC behind this machine's own
            L1d and L2; ``/plru`` after it for tree-PLRU, then ``:inclusive`` or ``:exclusive``),
            each with ``:next-line`` last for a prefetcher or not, separated by commas or as a
            sequence.
        l2: An L2 in place of each one's own; None for no L2 at all.

    Raises:
        CacheGeometryError: A name is unknown, a size impossible, or this machine's caches
            cannot be told.
    """
    names = [part.strip() for part in (spec.split(",") if isinstance(spec, str) else spec)]
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        message = "no cache to model: name one or more, such as host,paper"
        raise CacheGeometryError(message)
    processors = tuple(_one(name) for name in names)
    if l2 == "keep":
        return processors
    return tuple(replace(p, l2=l2) for p in processors)
