"""
What mkdocs.yml asks of MkDocs beyond its plugins: lines of a page that it fills in.

    {{ file NAME }}     becomes the Markdown file of that name at the project's root
    {{ help COMMAND }}  becomes what the command prints for --help
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def file(name: str) -> str:
    """Return a file of the root; its links lead to the site's pages."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
    return text.replace("](CONTRIBUTING.md", "](contributing.md").replace("](CHANGELOG.md", "](changes.md")


def usage(command: str) -> str:
    """Return a command's help, as wide as a page is."""
    from formfn_profile.__main__ import command as module
    from perfcounters.__main__ import parser as counters

    os.environ.update(COLUMNS="96", NO_COLOR="1")
    program, _, name = command.rpartition(" ")
    if program == "formfn-profile":
        parser = module(name).parser(command)
    else:
        (subcommands,) = (each for each in counters()._actions if each.choices)  # noqa: SLF001 - no public way
        parser = subcommands.choices[name]
    return f"```text\n{parser.format_help()}```"


DIRECTIVES = {"file": file, "help": usage}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the directives of a page."""
    return re.sub(
        r"^\{\{ (\w+) (.+) \}\}$", lambda found: DIRECTIVES[found[1]](found[2]), markdown, flags=re.MULTILINE
    )
