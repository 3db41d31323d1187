"""What every command does about its output: a reader that goes, a full disk, letters that it cannot write."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PIPE_CLOSED = 141
"""The status that a shell gives a program ended by SIGPIPE."""

INTERRUPTED = 130
"""The status that a shell gives a program ended by SIGINT."""


def carry_out(prog: str, run: Callable[[], int]) -> int:
    """
    Call `run`, write out what it printed, and give the exit status: its own, or another after one line for
    what the system refused; none for a pipe that was closed by a reader who has seen enough.

    A letter that the output's encoding lacks is written as its number.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        status, said = PIPE_CLOSED, ""
    except OSError as error:
        status, said = 1, f"{prog}: {error}"
    except KeyboardInterrupt:
        status, said = INTERRUPTED, f"{prog}: interrupted"
    _give_up_output()
    if said:
        print(said, file=sys.stderr)
    return status


def _give_up_output() -> None:
    """What is left in the buffer would be tried again, in vain, when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
