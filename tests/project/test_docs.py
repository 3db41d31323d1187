"""
What the documentation says can't be run is listed here; commands in its text are commands; the site builds.

Blocks of docs/ are run where they stand, by docs/conftest.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from docs_blocks import PAGES, ROOT, blocks, evaluate, inline_commands, parse

MARKED = {
    "README.md": [
        "parsed: each sets up the machine; .ci/run runs both",
        "parsed: minutes of measuring; tests/measure, tests/networks and the tutorial measure less",
        "parsed: tests/results and tests/paper run these on records of theirs",
        "parsed: tests/perfcounters runs them; doctor's status is 1 where there is no PMU",
    ],
    "CONTRIBUTING.md": [
        "parsed: it makes the environment that the tests run in, and runs them",
        "parsed: test_the_first_change of tests/project makes the change in a copy, and runs this there",
        "not run: test_the_first_change of tests/project runs it, in a copy",
        "parsed: test_the_first_change of tests/project runs it, in a copy",
    ],
    "docs/compare.md": [
        "parsed: tests/results/test_compare.py compares",
        "parsed: there is no other interpreter; tests/measure/test_study.py has one",
        "parsed: minutes of measuring",
    ],
    "docs/findings.md": [
        "parsed: tests/paper/test_commands.py runs them",
    ],
    "docs/how-to/add-pattern.md": [
        "parsed: the pattern is not in the file",
    ],
    "docs/how-to/add-processor.md": [
        "parsed: the entry is not in the file",
    ],
    "docs/how-to/advise.md": [
        "parsed: some minutes of measuring",
        "parsed: tests/paper/test_advise.py compares; it takes pytorchcv",
    ],
    "docs/how-to/amd.md": [
        "parsed: the status is 1 where LLC misses can't be trusted",
        "not run: this machine has no amd_l3 PMU",
    ],
    "docs/how-to/ci-gate.md": [
        "parsed: half a minute of simulating",
        "parsed: half a minute of simulating; tests/results/test_compare.py holds the verdicts",
    ],
    "docs/how-to/cluster.md": [
        "parsed: it installs what the tests run in",
        "not run: each runs until it is ended; tests/cluster starts the same",
        "parsed: there is no scheduler at that address; tests/cluster measures so",
        "not run: there is no scheduler at that address; tests/cluster measures so",
        "not run: a minute of measuring; tests/cluster measures so",
    ],
    "docs/how-to/container.md": [
        "not run: there is no container engine here",
    ],
    "docs/how-to/intel-gpu.md": [
        "not run: it changes the system",
        "parsed: there is no GPU here",
    ],
    "docs/how-to/no-pmu.md": [
        "parsed: the status is 1 here, as it is wherever LLC misses can't be trusted",
        "parsed: a minute of measuring; the tutorial measures the same way",
    ],
    "docs/how-to/precision.md": [
        "parsed: half an hour of measuring; tests/measure measures a small network so",
    ],
    "docs/models.md": [
        "parsed: the tutorial and tests/measure measure the same way",
    ],
    "docs/simulator/index.md": [
        "parsed: tests/llcsim/test_simulate.py runs commands so",
    ],
    "docs/tutorial.md": [
        "parsed: it makes the environment that the tests run in",
        "not run: the tests run in that environment already",
    ],
}
"""Blocks that are not run, by page: held against the options of their programs, or nothing, and why."""


def test_every_block_that_is_not_run_is_listed():
    found = {str(page.relative_to(ROOT)): [each.mark for each in blocks(page) if each.mark] for page in PAGES}
    assert {page: marks for page, marks in found.items() if marks} == MARKED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_fence_is_a_block_of_a_known_language(page):
    """One that the pattern misses, indented or with a language of its own, would not be tested."""
    text = page.read_text()
    found = list(blocks(page))
    assert len(re.findall(r"^\s*```", text, re.MULTILINE)) == 2 * len(found)
    assert {each.language for each in found} <= {"", "sh", "python", "toml", "yaml", "json", "sql", "text"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_blocks_of_pages_beside_docs(name, tmp_path):
    """None of them is Python that runs."""
    for block in blocks(ROOT / name):
        evaluate(block, tmp_path, pytest.fail)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_are_commands(page):
    for words in inline_commands(page.read_text()):
        parse(words)


def test_links_between_pages_lead_somewhere():
    """Of those outside the site; MkDocs checks its own, and anchors."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for named in re.findall(r"\b(docs/[\w/-]+\.md)\b", page.read_text()):
            assert (ROOT / named).exists(), f"{page.name} names {named}"


@pytest.mark.slow
def test_the_first_change(tmp_path):
    """CONTRIBUTING's, made in a copy of the package and of its test."""
    page = blocks(ROOT / "CONTRIBUTING.md")
    row, test = (each.code for each in page if each.language in ("json", "python"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "perfcounters", tmp_path / "perfcounters", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "perfcounters", tmp_path / "tests", ignore=ignored)
    catalogue = tmp_path / "perfcounters" / "catalogue.json"
    opening = '"hardware": {\n'
    catalogue.write_text(catalogue.read_text().replace(opening, opening + row, 1))
    with (tmp_path / "tests" / "test_catalogue.py").open("a") as file:
        file.write(f"\n\n{test}")

    def python(*words):
        away = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}}
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, **away)

    assert "bus-cycles" in python("perfcounters", "list", "bus*").stdout
    done = python("pytest", "-q", "--import-mode=importlib", "tests/test_catalogue.py", "-k", "bus or source")
    assert "2 passed" in done.stdout, done.stdout


def test_every_command_is_in_the_reference():
    from formfn_profile.__main__ import COMMANDS
    from perfcounters.__main__ import COMMANDS as COUNTERS

    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    shown = re.findall(r"^\{\{ help (.+) \}\}$", page, re.MULTILINE)
    ours = {f"formfn-profile {each}" for each in COMMANDS}
    assert set(shown) == ours | {f"perfcounters {each}" for each in COUNTERS}


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fetched = re.compile(r"<(?:script|img|link)\b[^>]*?(?:src|href)=\"?(?:https?:)?//[^ >]+")
    assert {found for page in site.rglob("*.html") for found in fetched.findall(page.read_text())} == set()
