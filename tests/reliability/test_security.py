"""What SECURITY.md promises: no shell, no pickle unasked, private files, a simulator as it was built."""

from __future__ import annotations

import ast
import os
import pickle
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from formfn_profile import model_files, scratch
from formfn_profile.errors import NetworkError
from perfcounters import _seal
from perfcounters.errors import SimulatorBuildError

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("perfcounters", "formfn_profile", "csrc", "benchmarks", "examples", "tools", "fuzz")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}


def calls(path):
    """Each call in a file: its function as it is written, and its keywords."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {each.arg: ast.unparse(each.value) for each in node.keywords}


def test_no_shell_is_ever_started():
    """Programs get lists of words: no text of a user's is read by a shell."""
    found = [
        (path.name, name)
        for path in SOURCES
        for name, keywords in calls(path)
        if name in SHELLS or "shell" in keywords
    ]
    assert found == []


def test_pickles_are_loaded_in_three_places():
    """What a trusted file holds, and what this program itself wrote for its processes (live, torch_cpu)."""
    unsafe = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for name, keywords in calls(path)
        if name in ("pickle.load", "pickle.loads", "cloudpickle.load", "cloudpickle.loads")
        or (name == "torch.load" and keywords.get("weights_only") == "False")
    ]
    assert unsafe == [f"formfn_profile/{name}.py" for name in ("backends/torch_cpu", "live", "models")]


def test_no_more_is_asked_for_than_cap_perfmon():
    """Neither a message nor a page asks for a capability or a mode that gives more."""
    more = re.compile(
        r"(?<!`)--privileged|unconfined|cap-add[ =](?!PERFMON)|\bcap_(?!perfmon)[a-z_]+[+=]", re.IGNORECASE
    )
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = {path.name: more.findall(path.read_text(encoding="utf-8")) for path in (*SOURCES, *pages)}
    assert {name: words for name, words in found.items() if words} == {}


def test_temporary_files_are_the_users_alone_and_go():
    with scratch.scratch() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "weights").write_bytes(b"x")
    assert not folder.exists()


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    """The lock tells a run that works from one that was killed; links and other names are left alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, tempfile\nfrom formfn_profile.scratch import scratch\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with scratch() as folder:\n    (folder / 'weights').write_bytes(b'x')\n    os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(mine)
    (tmp_path / f"{scratch.PREFIX}file").write_text("")
    with scratch.scratch() as working:
        os.utime(working, (0, 0))
        assert not left.exists()
        with scratch.scratch():
            assert working.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{scratch.PREFIX}file", f"{scratch.PREFIX}link", "mine",
    ]  # fmt: skip
    assert mine.exists()


@pytest.fixture
def sealed(tmp_path):
    """A folder as the simulator's build leaves it."""
    folder = tmp_path / "cache" / "built"
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    (folder / "llcsim").write_bytes(b"a program")
    (folder / "preload.so").symlink_to("/usr/lib/preload.so")
    _seal.seal(folder)
    _seal.check(folder)
    return folder


def relink(folder):
    (folder / "preload.so").unlink()
    (folder / "preload.so").symlink_to("/tmp/other.so")


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda folder: (folder / "llcsim").write_bytes(b"a progra"), "llcsim changed since it was built"),
        (relink, "preload.so changed since it was built"),
        (lambda folder: (folder / "more.so").write_bytes(b"x"), "more.so changed since it was built"),
        (lambda folder: (folder / "seal.json").unlink(), "seal.json changed since it was built"),
        (lambda folder: (folder / "seal.json").write_text("[" * 9999), "seal.json changed"),
        (lambda folder: (folder / "llcsim").chmod(0o722), "llcsim: it is not yours alone to write"),
        (lambda folder: folder.chmod(0o777), "built: it is not yours alone to write"),
        (lambda folder: folder.parent.chmod(0o777), r"others may write .*cache\. Run: chmod go-w .*cache"),
    ],
)
def test_a_simulator_that_changed_or_that_others_may_write_is_not_run(change, said, sealed):
    """By the SHA-256 of each file, the target of each link, owners and modes up to the root."""
    change(sealed)
    with pytest.raises(SimulatorBuildError, match=f"will not run .*{said}"):
        _seal.check(sealed)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_simulator_of_another_user_is_not_run(sealed):
    os.chown(sealed / "llcsim", 12345, -1)
    with pytest.raises(SimulatorBuildError, match="not yours alone"):
        _seal.check(sealed)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ts", ".pt2"])
def test_no_kind_of_file_runs_its_pickle(suffix, tmp_path):
    """A pickle alone, and the pickle where an archive of each kind holds one."""
    from formfn_profile import models

    done = tmp_path / "done"
    plain, archive = tmp_path / f"plain{suffix}", tmp_path / f"archive{suffix}"
    plain.write_bytes(pickle.dumps(Payload(done)))
    with zipfile.ZipFile(archive, "w") as file:
        for name in (
            "data.pkl",
            "constants.pkl",
            "data/sample_inputs/model.pt",
            "data/constants/opaque_obj_0",
        ):
            file.writestr(f"archive/{name}", pickle.dumps(Payload(done)))
        file.writestr("archive/version", "3\n")
    for path in (plain, archive):
        with pytest.raises(NetworkError):
            models.build(models.resolve(str(path), [models.Input((1, 3, 8, 8))]))
    assert not done.exists()


def test_torchscript_that_touches_files_needs_trust(tmp_path):
    """Its operators may: it is refused by its code, before it is loaded."""
    path = tmp_path / "writes.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("writes/code/__torch__.py", "def forward(x):\n  torch.save(x, 'there')\n")
    with pytest.raises(NetworkError, match="calls save, which reads or writes files: say --trust"):
        model_files.check(path, trust=False)
    model_files.check(path, trust=True)


def test_archives_unpack_within_limits(tmp_path):
    """A hundred megabytes of zeros in a hundred kilobytes, trusted or not."""
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb/data/0", bytes(100 << 20))
    for trust in (False, True):
        with pytest.raises(NetworkError, match="would unpack to 104,857,600"):
            model_files.check(path, trust=trust)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_archives_hold_no_file_outside(name, tmp_path):
    path = tmp_path / "outside.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, "x")
    with pytest.raises(NetworkError, match="would lie outside its folder"):
        model_files.check(path, trust=True)


def test_security_md_says_where_to_report():
    """Through the repository, and to no address that nobody reads."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private security advisories" in " ".join(text.split())
    assert "@" not in text
