"""Disks that are full or may not be written: what was measured is kept, and one line says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RECORDS = str(Path(__file__).parents[2] / "docs" / "data" / "paper.jsonl.gz")

FILL = """
import sys
from pathlib import Path
from formfn_profile.errors import ResultsError
from formfn_profile.results import Record
from formfn_profile.store import Store, load
path, filler = Path(sys.argv[1]) / "r.jsonl", Path(sys.argv[1]) / "filler"
filler.write_bytes(bytes(40_000))
record = Record(
    status="ok", run_id="r", time="t", launcher="native", network="standard", pattern="standard",
    backend="torch", precision="f32", threads=1, latency_s=tuple(n / 7 for n in range(200)),
)
written = 0
try:
    with Store(path) as store:
        while True:
            store.append(record)
            written += 1
except ResultsError as error:
    print(error)
assert written > 1
assert load(path) == [record] * written
filler.unlink()
with Store(path) as store:
    assert store.notice is None
    store.append(record)
assert load(path) == [record] * (written + 1)
"""

READ_ONLY = """
import sys, tempfile
from pathlib import Path
from formfn_profile.errors import FormfnError
from formfn_profile.scratch import scratch
from formfn_profile.store import Store
from perfcounters import _llcsim_build, _validation
from perfcounters.errors import PerfCountersError
tempfile.tempdir = sys.argv[1]
def folder():
    with scratch():
        pass
for attempt in (lambda: Store(Path(sys.argv[1]) / "r.jsonl"), folder, _llcsim_build._private_root):
    try:
        attempt()
    except (FormfnError, PerfCountersError) as error:
        print(error)
_validation.record("cpu/config=0x412e/", right=True)
assert _validation.validated("LLC-misses", "cpu/config=0x412e/")
"""


def test_a_full_disk_keeps_every_whole_record(run_with, tmp_path):
    """A tmpfs of 64 KiB: what does not fit leaves no trace, and with room again the file goes on."""
    mount = f"mount -t tmpfs -o size=64k none {tmp_path}"
    done = run_with([mount], "-c", FILL, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"cannot write a record to {tmp_path}/r.jsonl: No space left on device."
        " Free disk space, then run the same again\n"
    )


def test_folders_that_may_not_be_written(run_with, tmp_path):
    """A read-only mount: records, temporary files and the simulator each say so; a check is not kept."""
    mounts = [f"mount -t tmpfs none {tmp_path}", f"mount -o remount,ro {tmp_path}"]
    done = run_with(mounts, "-c", READ_ONLY, tmp_path, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    records, temporary, simulator = done.stdout.splitlines()
    assert "Read-only file system. Name one you may write with --out" in records
    assert "Read-only file system. Set TMPDIR to a folder that can be written" in temporary
    assert "Read-only file system; set XDG_CACHE_HOME to a folder that can be written" in simulator


@pytest.mark.parametrize("module", [["perfcounters", "list"], ["formfn_profile", "claims", RECORDS]])
def test_output_to_a_full_disk_is_one_line(module):
    """/dev/full refuses each write with ENOSPC (full(4))."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", *module], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line


def test_without_a_home_there_is_no_cache(tmp_path):
    """No HOME and a user whom the system does not know: the remedy is named, and nothing else fails."""
    code = (
        "import os\nos.environ.pop('XDG_CACHE_HOME', None); os.environ.pop('HOME', None)\n"
        "import pwd\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown\n"
        "from perfcounters import _llcsim_build, _validation, errors\n"
        "_validation.record('cpu/config=0x412e/', right=True)\n"
        "try: _llcsim_build._private_root()\nexcept errors.SimulatorBuildError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "this user has no home folder; set XDG_CACHE_HOME" in done.stdout
