"""Command line of the package: `python -m formfn_profile SUBCOMMAND`."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from perfcounters._command import carry_out
from perfcounters._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "llc": "latency, FLOPs and LLC misses of design patterns over depth, or of any model",
    "study": "a grid of networks, backends, precisions and threads, resumed where it stopped",
    "layers": "a network layer by layer",
    "compare": "what got faster or slower from one file of records to another",
    "export": "records as a suite of pyperf or as CSV",
    "correlate": "how FLOPs, LLC misses, instructions and latency go together",
    "roofline": "this machine's peak FLOP/s and memory bandwidth",
    "plot": "the paper's figures, a roofline, misses against the size of the LLC",
    "claims": "the paper's findings, checked on this machine's records",
    "report": "all of it as one page",
    "advise": "which form is fast here: latencies predicted, and ranked under a budget",
}
# Modules of commands whose own name is that of what they call.
_MODULES = {
    "layers": "layers_command",
    "study": "study_command",
    "compare": "compare_command",
    "export": "export_command",
    "correlate": "correlate_command",
    "roofline": "roofline_command",
    "plot": "plot_command",
    "claims": "claims_command",
    "report": "report_command",
    "advise": "advise_command",
}

_PROG = "formfn-profile"


def command(name: str) -> Any:
    """Return the module of a command: its `parser(prog)` and its `main(argv, prog)`."""
    return importlib.import_module(f"formfn_profile.{_MODULES.get(name, name)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:
        prog = f"{_PROG} {words[0]}"
        return carry_out(prog, lambda: int(command(words[0]).main(words[1:], prog=prog)))
    if words == ["--version"]:
        print(__version__)
        return 0
    if words and words[0] not in ("-h", "--help"):
        print(f"{_PROG}: there is no command {words[0]!r}; there is: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    lines = [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    print(f"usage: {_PROG} COMMAND [options]\n\ncommands:\n" + "\n".join(lines))
    print(f"\n{_PROG} COMMAND --help says more.")
    return 0 if words else 2


if __name__ == "__main__":
    sys.exit(main())
