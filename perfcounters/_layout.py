"""A program's address layout: the same in each run, without randomisation."""

from __future__ import annotations

import ctypes
import os
import shutil
from typing import TYPE_CHECKING

from perfcounters.errors import SimulatorError, SimulatorMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of linux/personality.h.
_ADDR_NO_RANDOMIZE = 0x0040000
_QUERY = 0xFFFFFFFF


def fixed_layout_command(argv: Sequence[str]) -> list[str]:
    """
    Give the command that runs another without address space randomisation.

    Raises:
        SimulatorMissingError: There is no `setarch`.
        SimulatorError: The system refuses (a container's seccomp profile may).
    """
    setarch = shutil.which("setarch")
    if setarch is None:
        message = "a fixed layout needs `setarch`, which is not on the PATH; install it: util-linux"
        raise SimulatorMissingError(message)
    _refuse_where_forbidden()
    return [setarch, "-R", *argv]


def _refuse_where_forbidden() -> None:
    personality = ctypes.CDLL(None, use_errno=True).personality
    personality.argtypes, personality.restype = [ctypes.c_ulong], ctypes.c_int
    own = personality(_QUERY)
    if own == -1 or personality(own | _ADDR_NO_RANDOMIZE) == -1:
        reason = os.strerror(ctypes.get_errno())
        message = (
            f"this system does not let a program turn off address space randomisation: {reason}; in a"
            " container a seccomp profile that allows personality(2) does, or go without a fixed layout"
        )
        raise SimulatorError(message)
    personality(own)
