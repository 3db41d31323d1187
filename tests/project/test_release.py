"""What names a release: one version, a change log with a heading for it, a citation."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from perfcounters._version import __version__

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["perfcounters", "formfn_profile"])
def test_both_commands_tell_the_version_of_the_distribution(package):
    command = [sys.executable, "-m", package, "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert told == __version__ == metadata.version("formfn-profile")


def test_the_version_is_a_semantic_one_and_written_once():
    """MAJOR.MINOR.PATCH, as semver.org has it; in no other file but as a heading of the change log."""
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", __version__)
    for name in ("pyproject.toml", "setup.py", "CITATION.cff", "formfn_profile/__init__.py"):
        assert __version__ not in (ROOT / name).read_text(), name


def test_the_change_log_begins_with_what_comes_next():
    """Keep a Changelog: what is not released first, then releases, under its six headings."""
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    releases = [line for line in lines if line.startswith("## ")]
    assert releases[0] == "## Unreleased"
    assert all(re.fullmatch(r"## \d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", line) for line in releases[1:])
    kinds = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
