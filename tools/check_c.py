"""
Compile every C source of the project with warnings as errors, and throw the result away.

Run, with options for the compiler if any::

    python tools/check_c.py
    python tools/check_c.py -fanalyzer
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from perfcounters._llcsim_build import _COMPILE, find_valgrind

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
STRICT = ("-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror", "-c", "-o", os.devnull)


def sources() -> Iterator[tuple[Path, list[str]]]:
    """Give each source with the options that its own build compiles it with."""
    for path in sorted((CSRC / "perf_event").glob("*.c")):
        yield path, ["-std=gnu11", "-O2"]
    for path in sorted((CSRC / "llcsim").glob("*.c")):
        yield path, [*_COMPILE, "-isystem", str(find_valgrind().headers)]
    yield ROOT / "tests/llcsim/harness.c", ["-O2", f"-I{CSRC / 'llcsim'}"]


def main(options: list[str]) -> int:
    """Compile all of them; return 1 if the compiler complained about one."""
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    failed = False
    for path, own in sources():
        done = subprocess.run([*compiler, *own, *STRICT, *options, str(path)], check=False)
        failed = failed or done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
