"""The command line, as a user runs it."""

import contextlib
import errno
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from perfcounters import Count, Reading, _attach, countable, errors, events, stat
from perfcounters.events import known_names
from perfcounters.stat import DEFAULT

PAGES = 5000
TOUCH = f"from perfcounters import known_work; known_work.page_faults({PAGES})"
IDLE = "from perfcounters import known_work"


def perfcounters(*argv):
    return subprocess.run(
        [sys.executable, "-m", "perfcounters", *argv], capture_output=True, text=True, check=False, timeout=60
    )


def faults_of(*argv):
    done = perfcounters("stat", "-j", "-e", "page-faults", "--", *argv)
    return json.loads(done.stderr)["runs"][0]["counts"]["page-faults"]["value"]


def test_stat_counts_the_command_and_its_children():
    """5,000 touches are 5,000 faults, within 2% and what start-up varies by; a shell's child too."""
    idle = faults_of(sys.executable, "-c", IDLE)
    assert faults_of(sys.executable, "-c", TOUCH) - idle == pytest.approx(PAGES, abs=0.02 * PAGES + 200)
    in_shell = faults_of("sh", "-c", f"{sys.executable} -c '{TOUCH}'; true")
    assert in_shell - idle == pytest.approx(PAGES, abs=0.02 * PAGES + 400)


@pytest.mark.skipif(shutil.which("perf") is None, reason="there is no perf")
def test_stat_counts_what_perf_stat_counts():
    """Page faults of the same program, by `perf stat`; what start-up varies by is small beside 20,000."""
    program = f"from perfcounters import known_work; known_work.page_faults({4 * PAGES})"
    argv = [sys.executable, "-c", program]
    done = subprocess.run(
        ["perf", "stat", "-x,", "-e", "page-faults", *argv], capture_output=True, text=True, check=True
    )
    assert faults_of(*argv) == pytest.approx(int(done.stderr.split(",")[0]), rel=0.01)


def test_stat_counts_the_time_of_the_command():
    """task-clock of a busy loop of 0.3 s of its own CPU time, and Python's start; not twice that."""
    loop = "import time\nwhile time.process_time() < 0.3: pass"
    done = perfcounters("stat", "-j", "-e", "task-clock", "--", sys.executable, "-c", loop)
    run = json.loads(done.stderr)["runs"][0]
    assert 0.3e9 <= run["counts"]["task-clock"]["value"] <= 0.6e9
    assert run["counts"]["task-clock"]["scope"] == "tree"


@pytest.mark.parametrize(
    "argv,status",
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$"], 137),
        (["no-such-command"], 127),
        (["/"], 126),
    ],
)
def test_stat_passes_the_exit_status_on(argv, status):
    """As shells do: 128 + signal, 127 not found, 126 not executable (POSIX, 2.8.2)."""
    done = perfcounters("stat", "-e", "page-faults", "--", *argv)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_stat_leaves_the_commands_output_alone_and_repeats_it(tmp_path):
    out = tmp_path / "counts.txt"
    done = perfcounters(
        "stat", "-r", "3", "-o", str(out), "-e", "page-faults,task-clock", "--", "echo", "hello"
    )
    assert done.stdout == "hello\n" * 3
    assert done.stderr == ""
    text = out.read_text()
    assert "(3 runs)" in text
    assert re.search(r"ns +task-clock\s+\+- \d", text)
    assert re.search(r"\d s +elapsed  \+- \d", text)


def test_stat_says_why_an_event_of_the_usual_set_was_not_counted():
    """Each event is either counted or has a reason; none is missing."""
    done = perfcounters("stat", "-j", "--", "true")
    found = json.loads(done.stderr)
    counts = found["runs"][0]["counts"]
    assert set(counts) | set(found["not_counted"]) == set(DEFAULT)
    assert all(count["value"] is not None or count["reason"] for count in counts.values())


# Says how many SIGINTs it got until it is told to end, by SIGTERM.
COUNTS_SIGNALS = """
import signal, sys, time
got = []
signal.signal(signal.SIGINT, lambda *a: (got.append(1), print("got", flush=True)))
signal.signal(signal.SIGTERM, lambda *a: sys.exit(7 + len(got)))
print("ready", flush=True)
while True:
    time.sleep(60)
"""
STAT = [sys.executable, "-m", "perfcounters", "stat", "-e", "page-faults", "--"]


def test_stat_forwards_signals():
    """SIGINT and SIGTERM to stat alone reach the command, whose status is passed on."""
    argv = [*STAT, sys.executable, "-c", COUNTS_SIGNALS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"got\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 8


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_terminals_ctrl_c_reaches_the_command_once():
    """The terminal sends SIGINT to all of its foreground processes; stat's is not handed on as well."""
    try:
        pid, terminal = pty.fork()
    except OSError as error:
        pytest.skip(f"there are no pseudo-terminals here (is /dev/pts mounted?): {error}")
    if pid == 0:
        os.execv(sys.executable, [*STAT, sys.executable, "-c", COUNTS_SIGNALS])  # noqa: S606
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        assert b"ready" in screen.readline()
        screen.write(b"\x03")
        assert b"got" in screen.readline()
        time.sleep(1)  # for one that must not come
        os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(OSError):  # a terminal ends in EIO
            while screen.read(1000):
                pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 8


def test_a_command_that_dies_of_a_signal_ends_the_repeats():
    done = perfcounters("stat", "-r", "5", "-e", "page-faults", "--", "sh", "-c", "echo x; kill -TERM $$")
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stdout == "x\n"


def test_stat_leaves_the_commands_signals_as_they_were():
    """Blocked and ignored signals of the command are those of whoever called stat (/proc/self/status)."""
    show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
    direct = subprocess.run(show, capture_output=True, text=True, check=True)
    assert perfcounters("stat", "-e", "page-faults", "--", *show).stdout == direct.stdout


def test_stat_leaves_what_is_ignored_to_the_command():
    """SIGINT, as a shell ignores it for a job in the background, and SIGCHLD."""
    ignore = ["sh", "-c", "trap '' INT CHLD; exec \"$@\"", "sh"]
    show = ["grep", "^SigIgn", "/proc/self/status"]
    stat = [sys.executable, "-m", "perfcounters", "stat", "-e", "page-faults", "--", *show]
    direct, counted = (
        subprocess.run([*ignore, *command], capture_output=True, text=True, check=True).stdout
        for command in (show, stat)
    )
    assert int(direct.split()[1], 16) & (1 << signal.SIGINT - 1)
    assert counted == direct


def test_stat_restores_sigpipe():
    """Python ignores SIGPIPE; the command must die of it as it does without stat."""
    direct = perfcounters("stat", "-e", "page-faults", "--", "sh", "-c", "kill -PIPE $$; exit 0")
    assert direct.returncode == 128 + signal.SIGPIPE


def test_spread_is_the_standard_deviation_of_the_runs():
    """Runs of 90, 100, 110: mean 100, sample standard deviation 10, which is 10%."""
    runs = [stat.Run(1.0, 0, Reading([one_count(value)])) for value in (90, 100, 110)]
    (line,) = [line for line in stat.table(["x"], runs, {}).splitlines() if "page-faults" in line]
    assert line.split() == ["100", "page-faults", "+-", "10.00%"]


def one_count(value):
    return Count("page-faults", value, "page-faults", "software", "tree", 1, 1, False, (), 1, "", None)


@pytest.mark.skipif(countable(["page-faults"], scope="cpu")["page-faults"] is not None, reason="not allowed")
def test_stat_of_all_cpus_counts_everybody():
    """A process that existed before touches 20,000 pages meanwhile: not the command's, but the machine's."""
    script = f"input(); from perfcounters import known_work; known_work.page_faults({4 * PAGES})"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        go = ["sh", "-c", f"echo > /proc/{other.pid}/fd/0; while kill -0 {other.pid}; do sleep 0.05; done"]
        waiter = threading.Thread(target=other.wait)  # so that it does not stay a zombie
        waiter.start()
        done = perfcounters("stat", "-a", "-j", "-e", "page-faults", "--", *go)
        waiter.join()
    found = json.loads(done.stderr[done.stderr.index("{") :])  # after what the shell says
    (count,) = found["runs"][0]["counts"].values()
    assert count["scope"] == "cpu"
    assert count["value"] >= 4 * PAGES


def test_events_may_be_named_one_by_one():
    done = perfcounters("stat", "-j", "-e", "page-faults,task-clock", "-e", "page-faults:u", "--", "true")
    counts = json.loads(done.stderr)["runs"][0]["counts"]
    assert list(counts) == ["page-faults", "task-clock", "page-faults:u"]


def test_an_error_is_one_line():
    done = perfcounters("stat", "-e", "page-fault", "--", "true")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "did you mean page-faults" in done.stderr


def test_events_with_commas_in_their_terms():
    done = perfcounters("stat", "-e", "no_pmu/event=1,umask=2/,page-faults", "--", "true")
    assert "no_pmu/event=1,umask=2/: this machine has no PMU no_pmu" in done.stderr


def test_list_names_the_whole_catalogue():
    done = perfcounters("list")
    assert [line.split()[0] for line in done.stdout.splitlines()][: len(known_names())] == list(known_names())


def test_list_filters():
    assert perfcounters("list", "task*").stdout.startswith("task-clock ")
    assert perfcounters("list", "nothing-like-it").returncode == 1


def test_doctor_checks_page_faults_and_says_if_llc_misses_can_be_trusted():
    done = perfcounters("doctor", "--json")
    found = json.loads(done.stdout)
    verdicts = {one["subject"]: one["verdict"] for one in found["findings"]}
    assert verdicts["page-faults"] == "ok"
    assert set(known_names()) <= set(verdicts)
    assert done.returncode == (0 if found["llc_trusted"] else 1)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads do no harm
def test_a_command_whose_events_cannot_be_opened_is_not_run(kernel, tmp_path):
    """The waiting child ends with nothing done, and is not left behind."""
    kernel.fails(errno.EMFILE)
    (prepared,) = [_attach.Prepared(events.resolve("page-faults"), 0)]
    mark = tmp_path / "mark"
    with pytest.raises(errors.CounterLimitError):
        stat.count(["touch", str(mark)], [[prepared]])
    assert not mark.exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
