"""
Fuzz what reads foreign bytes, guided by coverage (atheris): the store, event names, /proc and /sys, the
worker's protocol.

Each target runs in a process of its own, for an equal share of the time. An input that nothing handles is
kept as `crash-...` in the folder, and the exit status is 1. Run: pip install -e '.[fuzz]', then

    python fuzz/run.py SECONDS [FOLDER]
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_ONE = "--one"
_LONGEST_INPUT = 1 << 14


def one(name: str, seconds: int, folder: Path) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["formfn_profile", "perfcounters", "targets"]):
        import targets

    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        *(f"-max_total_time={seconds}", f"-max_len={_LONGEST_INPUT}", "-print_final_stats=1", "-timeout=60"),
        *("-rss_limit_mb=4096", f"-artifact_prefix={folder}/{name}-"),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], targets.TARGETS[name])
    atheris.Fuzz()


def main(argv: list[str]) -> int:
    """Fuzz every target and say how many inputs it had."""
    if argv[1:2] == [_ONE]:
        one(argv[2], int(argv[3]), Path(argv[4]))
    names = ("store", "events", "sysfs", "protocol")
    seconds = int(argv[1]) // len(names)
    folder = Path(argv[2] if len(argv) > 2 else "fuzz/found")
    folder.mkdir(parents=True, exist_ok=True)
    status = 0
    for name in names:
        done = subprocess.run(
            [sys.executable, __file__, _ONE, name, str(seconds), str(folder)],
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        (folder / f"{name}.log").write_text(done.stderr, encoding="utf-8")
        tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        print(f"{name}: {int(tried[1]) if tried else 0:,} inputs, exit status {done.returncode}", flush=True)
        status = status or done.returncode
    return min(status, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
