"""The commands that the documentation shows run as they stand there, and leave what they name."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODELS = (ROOT / "docs" / "models.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", MODELS, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split(" --out ")[1])
def test_commands_of_the_page_on_models(command, tmp_path):
    words = shlex.split(command)
    assert words[0] == "python"
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / words[words.index("--out") + 1]).read_bytes().count(b"\n") >= 2


def test_the_grid_of_the_page_is_one(tmp_path):
    """Every key is an option of the study command."""
    from formfn_profile.options import _toml, settings
    from formfn_profile.study_command import parser

    (block,) = re.findall(r"^```toml\n(.*?)^```", MODELS, re.DOTALL | re.MULTILINE)
    path = tmp_path / "grid.toml"
    path.write_text(block)
    options = parser().parse_args(settings(parser(), path))
    assert options.batches == tuple(_toml().loads(block)["batches"])


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for named in re.findall(r"\b(docs/[\w/-]+\.md)\b", page.read_text()):
            assert (ROOT / named).exists(), f"{page.name} names {named}"
