"""
Names of events made at random, resolved and opened for a minute: each is an event or an error of ours.

A name begins as one that means something and is cut, joined and changed; PMUs and files are made up to
the kernel's format, with faults in them. What fails is printed with the seed that brings it back::

    python benchmarks/perfcounters_fuzz.py [SECONDS] [SEED]
"""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from perfcounters import Counters, _kernel, errors, events

PIECES = (
    *events.known_names(),
    *(
        "cpu",
        "amd_l3",
        "uncore_imc",
        "uncore_imc_0",
        "msr",
        "mem:0x7ffd0000",
        "r412e",
        "event=",
        "umask=0x41",
    ),
    *(
        "/",
        "//",
        ":",
        ":u",
        ":k",
        ":uk",
        ":w",
        ",",
        "=",
        "0x",
        "-",
        "1",
        "0xffffffffffffffffff",
        " ",
        "\0",
        "\n",
    ),
    *("..", "é", "٣", "\ud800", "inv", "cache-misses", "config=", "config1=1", "config9=1", "edge", "?"),
)
FORMATS = ("config:0-7", "config:8-15", "config1:0-63", "config:0-7,32-35", "config3:0", "config:", "x", "")
ALIASES = ("event=0x2e,umask=0x41", "event=?", "event=0xffff", "", "nonsense", "config=0x1,,", "event=1" * 99)


PMUS = ("cpu", "amd_l3", "uncore_imc", "uncore_imc_0", "armv8_pmuv3", "msr", "software", "breakpoint")
TERMS = (
    *("event=0x2e", "event=1", "event", "umask=0x41", "umask=-1", "umask=0x1ff", "inv", "edge=2", "tsc"),
    *("cache-misses", "data_reads", "cas_count_read", "config=0x412e", "config1=0xffffffffffffffff", "x", ""),
)


def name_of_sorts(rng: random.Random) -> str:
    """Put pieces together, and change some characters."""
    if rng.random() < 0.7:
        terms = ",".join(rng.choice(TERMS) for _ in range(rng.randint(0, 3)))
        name = f"{rng.choice(PMUS)}/{terms}/{rng.choice(('', ':u', ':k', ':uk', ':w'))}"
        if rng.random() < 0.7:
            return name
    else:
        name = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 6)))
    for _ in range(rng.randint(0, 3)):
        at = rng.randint(0, len(name))
        name = name[:at] + rng.choice("/:,=xu0\t%") * rng.randint(0, 2) + name[at + rng.randint(0, 2) :]
    return name


def machine_of_sorts(rng: random.Random, root: Path) -> None:
    """Write PMUs with files that are right, wrong or missing."""
    for pmu in ("cpu", "amd_l3", "uncore_imc_0", "uncore_imc_1", "uncore_imc_x", "armv8_pmuv3"):
        folder = root / "sys/bus/event_source/devices" / pmu
        (folder / "format").mkdir(parents=True, exist_ok=True)
        (folder / "events").mkdir(exist_ok=True)
        (folder / "type").write_text(rng.choice(("4\n", "12\n", "8", "19")))
        for term in ("event", "umask", "inv", "edge"):
            (folder / "format" / term).write_text(rng.choice(FORMATS))
        for event in ("cache-misses", "data_reads", "cas_count_read"):
            (folder / "events" / event).write_text(rng.choice(ALIASES))
            (folder / "events" / f"{event}.scale").write_text(rng.choice(("6.103515625e-5", "1", "x", "")))
            (folder / "events" / f"{event}.unit").write_text(rng.choice(("MiB", "", "Joules")))
        (folder / "cpumask").write_text(rng.choice(("0", "0,8", "0-3")))
    vendor = rng.choice(("GenuineIntel", "AuthenticAMD", "?"))
    family, model = rng.choice((6, 23, 25, 26)), rng.randint(0, 255)
    (root / "proc").mkdir(exist_ok=True)
    text = f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t: {model}\nmodel name\t: made up\n"
    (root / "proc/cpuinfo").write_text(text)


def once(rng: random.Random, root: Path | None) -> str:
    """Try one name, on this machine or on one of files, and say what came of it."""
    name = name_of_sorts(rng)
    try:
        if root is not None:
            event = events.resolve(name)
            if event.name != name:
                raise AssertionError(f"{name!r} became {event.name!r}")
        else:
            Counters(name, scope=rng.choice(("thread", "process", "cpu"))).open().close()
        return "an event"
    except errors.PerfCountersError as error:
        return type(error).__name__


def main(argv: list[str]) -> int:
    """Try names until the time is up; the exit status is 1 if one did what none should."""
    seconds = float(argv[1]) if len(argv) > 1 else 60.0
    first = int(argv[2]) if len(argv) > 2 else time.time_ns() % 1_000_000_000
    seed, seen, end = first, Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        rng = random.Random(seed)  # noqa: S311 - seeded, not secret  # nosec B311
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) if rng.random() < 0.5 else None
            if root is not None:
                machine_of_sorts(rng, root)
            _kernel.SYSTEM_ROOT = root or Path("/")
            for _ in range(200):
                try:
                    seen[once(rng, root)] += 1
                except Exception as error:  # noqa: BLE001 - what this looks for
                    print(f"seed {seed}: {type(error).__name__}: {error!r}")
                    return 1
        seed += 1
    print(f"{seen.total():,} names in {seconds:.0f} s, seeds {first} to {seed - 1}: {dict(seen)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
