"""Systems that lack something, and terminals, pipes, locales and paths of every kind."""

from __future__ import annotations

import contextlib
import fcntl
import locale
import math
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from formfn_profile import backends, options, table
from formfn_profile.progress import Progress
from formfn_profile.store import Store, load

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "data" / "paper.jsonl.gz"
NAMES = ["mit Leerzeichen", "größe", "网络", "a'b\"c", "-n", "$(touch x)", "tab\there"]


def python(*words, **environment):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def one_line(done):
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    return line


def test_without_proc_counting_and_measuring_say_so(run_with):
    """An empty /proc: one line that names it, and no count."""
    empty = ["mount -t tmpfs none /proc"]
    counting = run_with(empty, "-m", "perfcounters", "stat", "-e", "page-faults", "--", "true")
    assert "/proc" in one_line(counting)
    measuring = run_with(
        empty, "-m", "formfn_profile", "study", "--pattern", "standard", "--counters", "none"
    )
    assert "/proc is not mounted" in one_line(measuring)
    reading = run_with(empty, "-m", "formfn_profile", "export", RECORDS, "--csv", "/dev/null")
    assert reading.returncode == 0, reading.stderr


def test_without_sysfs_caches_are_named_by_hand(run_with):
    """An empty /sys: the host's caches are not guessed, and those of --cache need none of it."""
    code = (
        "from perfcounters import caches, pmus, errors\n"
        "print(pmus.listed(), caches.resolve('paper')[0].llc)\n"
        "try: caches.resolve('host')\n"
        "except errors.CacheGeometryError as error: print(error)\n"
        "from formfn_profile.measuring import machine\nprint(machine.machine()['caches'])"
    )
    done = run_with(["mount -t tmpfs none /sys"], "-c", code)
    assert done.returncode == 0, done.stderr
    nothing, refused, caches = done.stdout.splitlines()
    assert nothing == "() 4 MiB/16-way"
    assert "name the caches to model instead, such as --cache paper" in refused
    assert caches == "None"


@pytest.fixture
def comma_locale(tmp_path, monkeypatch):
    """A locale, compiled here and chosen by this process, in which 0,5 is a half."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/charmaps").exists():
        pytest.skip("no localedef with its character maps (Debian: locales)")
    source = tmp_path / "source"
    source.write_text('LC_NUMERIC\ndecimal_point ","\nthousands_sep "."\ngrouping 3;3\nEND LC_NUMERIC\n')
    made = ["localedef", "-c", "-i", str(source), "-f", "ANSI_X3.4-1968", str(tmp_path / "commas")]
    subprocess.run(made, check=False, capture_output=True)
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    before = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "commas")
    yield
    locale.setlocale(locale.LC_NUMERIC, before)


def test_a_locale_with_commas_changes_no_number(comma_locale, tmp_path):
    """
    Even where a model's code chose it: the IR that OpenVINO writes (alone it writes 0,25, and reads that as
    0), options, records, the table. ELU of -1 is alpha * (1/e - 1), by its definition.
    """
    import torch

    assert f"{0.5:n}" == "0,5"
    openvino = backends.get("openvino-cpu")
    made = openvino.prepare(torch.nn.ELU(alpha=0.25), torch.tensor([-1.0, 2.0]), tmp_path)
    session = openvino.load(made, threads=1)
    session.infer()
    assert session.output() == pytest.approx([0.25 * (math.exp(-1) - 1), 2], rel=1e-5)
    records = load(RECORDS)[:4]
    assert options.seconds("0.5") == 0.5
    shown = [each.text() for each in table.tables(records)]
    with Store(tmp_path / "r.jsonl") as store:
        store.append(records[0])
    assert f"{0.5:n}" == "0,5"
    locale.setlocale(locale.LC_NUMERIC, "C")
    assert load(tmp_path / "r.jsonl") == records[:1]
    assert [each.text() for each in table.tables(records)] == shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_the_output_lacks_are_written_as_numbers(encoding):
    """`±` of the table in ASCII, say: no traceback, whatever the terminal's encoding."""
    code = (
        "from perfcounters._command import carry_out\n"
        "import sys\nsys.exit(carry_out('x', lambda: print('\\u7f51 \\udcff') or 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u7f51 \\udcff\n", b"")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_paths_of_any_letters_hold_records(name, tmp_path):
    """Spaces, letters of other alphabets, what a shell would read: they are names and nothing else."""
    (record, *_) = load(RECORDS)
    path = tmp_path / name / f"{name}.jsonl"
    with Store(path) as store:
        store.append(record)
    assert load(path) == [record]
    done = python("-m", "formfn_profile", "export", path, "--csv", path.with_suffix(".csv"))
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in path.parent.iterdir()) == [f"{name}.csv", f"{name}.jsonl"]


@pytest.mark.simulator
def test_the_simulator_runs_from_a_path_of_any_letters(tmp_path, monkeypatch):
    """The built tool in a cache folder with a space and letters of another alphabet, temporary files too."""
    from perfcounters import _llcsim_build, simulate, simulator
    from perfcounters.caches import resolve
    from perfcounters.errors import SimulatorMissingError

    try:
        built = simulator.ensure_built()
    except SimulatorMissingError as error:
        pytest.skip(str(error))
    odd = tmp_path / "mit Leerzeichen 网络"
    monkeypatch.setenv("XDG_CACHE_HOME", str(odd))
    monkeypatch.setenv("TMPDIR", str(odd))
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    shutil.copytree(built, _llcsim_build._private_root() / built.name, symlinks=True)
    _, status, counts = simulate.simulate(["true"], resolve("paper"))
    assert status == 0
    assert counts.instructions > 0


def drawn(width, draw):
    """What `draw` writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    shown = bytearray()

    def look():
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while piece := os.read(ours, 1 << 12):
                shown.extend(piece)

    reader = threading.Thread(target=look)
    reader.start()
    with os.fdopen(theirs, "w") as stream:
        draw(stream)
    reader.join()
    os.close(ours)
    return shown.decode()


def test_a_terminal_of_60_columns_keeps_the_bar_on_its_line(monkeypatch):
    """A bar that were longer would leave a line behind at each redraw."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def draw(stream):
        progress = Progress(3, stream=stream)
        progress.say("a-network-whose-name-is-as-long-as-names-get depth 50 batch 128", "warm-up and timing")
        progress.done("it", "ok")
        progress.close()

    for line in re.split(r"[\r\n]", drawn(60, draw)):
        assert len(line) <= 60


@pytest.mark.slow
@pytest.mark.parametrize(
    "width,command",
    [
        (60, ["formfn_profile", "correlate", RECORDS]),
        (80, ["formfn_profile", "claims", RECORDS]),
        (60, ["perfcounters", "list", "page*"]),
    ],
)
def test_a_narrow_terminal_is_told_everything_within_its_width(width, command):
    """Every word that a pipe gets, in lines that fit."""
    command = [sys.executable, "-m", *map(str, command)]
    shown = drawn(width, lambda stream: subprocess.run(command, stdout=stream, check=True))
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert max(map(len, piped.splitlines())) > width or width < 80
    assert max(map(len, shown.splitlines())) <= width
    assert set(shown.split()) == set(piped.split())


@pytest.mark.parametrize("command", ["llc", "study", "compare"])
def test_help_fits_60_columns(command):
    """But for the line of usage, in which argparse breaks no group of alternatives."""
    done = python("-m", "formfn_profile", command, "--help", COLUMNS="60")
    _, _, described = done.stdout.partition("options:")
    assert max(map(len, described.splitlines())) <= 60


def test_a_pipe_whose_reader_is_gone_is_no_traceback():
    """The status that a shell gives for SIGPIPE, 141, and no word."""
    command = [sys.executable, "-m", "perfcounters", "list"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    assert running.stderr.read() == ""
    running.stderr.close()
    assert running.wait() == 141


def test_no_color_and_no_colour(monkeypatch):
    """Nothing here is told by colour: a terminal gets none, and NO_COLOR (no-color.org) changes nothing."""
    code = "import sys; from formfn_profile.__main__ import main; sys.exit(main(['llc', '--help']))"

    def draw(stream, **environment):
        subprocess.run(
            [sys.executable, "-c", code], stdout=stream, check=True,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )  # fmt: skip
        progress = Progress(2, stream=stream)
        progress.say("a network", "timing")
        progress.done("a network", "failed", failed=True)
        progress.close()

    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*m", drawn(80, lambda stream: draw(stream, NO_COLOR="1")))


@pytest.mark.slow
def test_the_hash_seed_changes_no_output():
    """Sets and dictionaries of strings are ordered otherwise with each PYTHONHASHSEED."""
    code = (
        "import sys\nfrom formfn_profile.__main__ import main\n"
        f"for command in ('claims', 'correlate'): main([command, {str(RECORDS)!r}])"
    )
    first, second = (python("-c", code, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first.stdout == second.stdout
    assert "HOLDS" in first.stdout
