"""Command line: ``python -m perfcounters list | stat | simulate | doctor``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from perfcounters import doctor, listing, simulate, stat
from perfcounters._command import carry_out
from perfcounters._version import __version__
from perfcounters.errors import PerfCountersError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {"list": listing, "stat": stat, "simulate": simulate, "doctor": doctor}


def parser() -> argparse.ArgumentParser:
    """Give the command line's options."""
    made = argparse.ArgumentParser(prog="python -m perfcounters", description="Count what a processor does.")
    made.add_argument("--version", action="version", version=__version__)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit status; an error is one line."""
    arguments = parser().parse_args(argv)
    return carry_out("perfcounters", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except PerfCountersError as error:
        print(f"perfcounters: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
