"""
Run what the documentation shows: every fenced block of the pages, in order, page by page.

A page has a folder of its own, in which its commands run and its files lie. By language:

    sh      commands, run by bash; each must succeed
    python  run in one namespace a page; with `title="FILE"` it is saved as FILE instead
    toml    saved under its title; options of a study
    yaml    saved under its title; a workflow whose commands are parsed
    json    read: an object, or entries of one
    sql     asked of DuckDB
    text    what a command printed: not run
    none    commands that are parsed

A comment on the line before a block says what can't be done here, and why:

    <!-- parsed: REASON -->   each command is only held against the options of its program
    <!-- not run: REASON -->  it can't even be parsed

tests/project/test_docs.py lists every such comment.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
TIME_LIMIT_S = 900

_BLOCK = re.compile(
    r'^(?:<!-- (?P<mark>.+?) -->\n)?```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$',
    re.DOTALL | re.MULTILINE,
)
_SEPARATORS = {";", "&&", "||", "|", "(", ")", ">", "do", "done"}
_SHELL = {"apt-get", "cd", "for"}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is in its page, the line of its code, its language, the comment before it."""

    page: Path
    span: tuple[int, int]
    line: int
    language: str
    title: str | None
    mark: str
    code: str

    @property
    def parsed_only(self) -> bool:
        """Its commands are held against their programs' options, and not run."""
        return self.mark.startswith("parsed: ") or not self.language

    @property
    def runs(self) -> bool:
        """Its commands are run."""
        return self.language == "sh" and not self.mark

    @property
    def not_run(self) -> bool:
        """Nothing is done with it."""
        return self.mark.startswith("not run: ") or self.language == "text"


def blocks(page: Path, text: str | None = None) -> Iterator[Block]:
    """Give a page's blocks, in order."""
    text = page.read_text(encoding="utf-8") if text is None else text
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Block(
            page, found.span(), line, found["language"], found["title"], found["mark"] or "", found["code"]
        )


def registries() -> tuple[dict[str, Any], ...]:
    """Give what a page on extending adds to."""
    from formfn_profile import backends, patterns

    return patterns.PATTERNS, backends.BACKENDS


def evaluate(block: Block, folder: Path, python: Callable[[], None]) -> None:
    """Run or parse a block in the page's folder; `python` runs it as Python."""
    if block.not_run:
        return
    if block.parsed_only:
        for words in commands(block.code):
            parse(words)
        return
    if block.title:
        (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.title).write_text(block.code, encoding="utf-8")
    if block.language == "sh":
        _run(block.code, folder)
    elif block.language == "python":
        if block.title:
            compile(block.code, block.title, "exec")
        else:
            python()
    else:
        _READERS[block.language](block, folder)


def _run(code: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"exit status {done.returncode}:\n{done.stdout}{done.stderr}")


def _toml(block: Block, folder: Path) -> None:
    from formfn_profile.options import settings
    from formfn_profile.study_command import parser

    parser().parse_args(settings(parser(), folder / str(block.title)))


def _yaml(block: Block, _: Path) -> None:
    import yaml

    for job in yaml.safe_load(block.code)["jobs"].values():
        for step in job["steps"]:
            for words in commands(step.get("run", "")):
                parse(words)


def _sql(block: Block, _: Path) -> None:
    import duckdb

    duckdb.sql(block.code).fetchall()


_READERS: Mapping[str, Callable[[Block, Path], None]] = {
    "toml": _toml,
    "yaml": _yaml,
    "sql": _sql,
    "json": lambda block, _: entries(block.code),
}


def entries(code: str) -> dict[str, Any]:
    """Read JSON: an object, or what stands in one."""
    found: dict[str, Any] = json.loads(code if code.startswith("{") else "{" + code.rstrip(", \n") + "}")
    return found


def commands(code: str) -> Iterator[list[str]]:
    """Give the words of each command in lines of shell; a variable is taken for 1, as is a placeholder N."""
    for line in code.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(re.sub(r"\$\w+", "1", line), posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        words: list[str] = []
        for word in [*reader, ";"]:
            if word not in _SEPARATORS:
                words.append("1" if re.fullmatch("[A-Z]", word) else word)
            elif words:
                yield words
                words = []


def inline_commands(text: str) -> Iterator[list[str]]:
    """Give the commands that stand in the running text of a page, where they have arguments."""
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", _BLOCK.sub("", text)):
        if re.match(r"(python (-m (formfn|perfc)|examples/|benchmarks/|tools/)|formfn-|make )\S* \S", code):
            yield from commands(code)


def parse(words: list[str]) -> None:  # noqa: C901 - a case a program
    """
    Hold a command against its program's own options.

    Raises:
        AssertionError: The program has no such command, option or file.
    """
    while words and ("=" in words[0] or words[0] == "sudo"):
        words = words[1:]
    words = ["python" if re.fullmatch(r"(\S*/)?python3?", words[0]) else words[0], *words[1:]]
    match words:
        case ["python", "-m", "formfn_profile.llc", *rest] | ["formfn-llc", *rest]:
            _arguments(_formfn("llc"), rest)
        case ["python", "-m", "formfn_profile", name, *rest] | ["formfn-profile", name, *rest]:
            if not name.isupper():
                _arguments(_formfn(name), rest or ["--help"])
        case ["python", "-m", "perfcounters", *rest]:
            from perfcounters.__main__ import parser

            _arguments(parser(), rest)
        case ["python", "-m", "pytest", *rest]:
            _exist(word for word in rest if word.startswith("tests/"))
        case ["python", "-m", "pyperf", *_]:
            pass
        case ["python", script, *rest]:
            text = (ROOT / script).read_text(encoding="utf-8")
            assert all(word.split("=")[0] in text for word in rest if word.startswith("-")), words
        case ["make", *targets]:
            rules = (ROOT / "Makefile").read_text(encoding="utf-8")
            for target in (each for each in targets if "=" not in each):
                assert re.search(rf"^[\w .-]*\b{re.escape(target)}\b[^=\n]*:", rules, re.MULTILINE), words
        case ["pip", "install", *rest]:
            extras = re.findall(r"\[(\w+)\]", " ".join(rest))
            project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
            assert all(re.search(rf"^{each} = \[", project, re.MULTILINE) for each in extras), words
        case [word, *_]:
            assert word in _SHELL, f"nothing knows the options of {word!r}: run it, or say `not run`"


def _formfn(name: str) -> argparse.ArgumentParser:
    from formfn_profile.__main__ import COMMANDS, command

    assert name in COMMANDS, f"there is no command {name}"
    made: argparse.ArgumentParser = command(name).parser()
    return made


def _arguments(parser: Any, words: list[str]) -> None:
    try:
        parser.parse_args(words)
    except SystemExit as stopped:
        if stopped.code:
            raise AssertionError(f"{parser.prog} does not take {shlex.join(words)}") from None


def _exist(paths: Iterator[str]) -> None:
    for path in paths:
        assert (ROOT / path.split("::")[0]).exists(), path
