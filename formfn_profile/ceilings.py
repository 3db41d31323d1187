"""The two ceilings of a roofline: how fast a machine computes and how fast it reads memory, at best."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from formfn_profile.errors import ResultsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Ceilings"]


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """
    What was measured with `threads` threads: `peak_flops` in FLOP/s (single precision, a multiply-add is
    two) and `bandwidth` in bytes read from memory a second; `how`, in words, and on which `cpu`.
    """

    peak_flops: float
    bandwidth: float
    threads: int
    how: str
    cpu: str | None = None

    @property
    def ridge(self) -> float:
        """FLOPs a byte above which computing, not memory, is the limit."""
        return self.peak_flops / self.bandwidth

    def save(self, path: Path) -> None:
        """
        Write it as JSON.

        Raises:
            ResultsError: The file cannot be written.
        """
        try:
            path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise ResultsError(
                f"cannot write {path}: {os.strerror(error.errno or 0)}. Name another file"
            ) from None

    @classmethod
    def load(cls, path: Path) -> Ceilings:
        """
        Read what `save` wrote.

        Raises:
            ResultsError: The file cannot be read, or holds something else.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ResultsError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
        except (TypeError, ValueError):
            raise ResultsError(
                f"{path} holds no ceilings of a roofline. Measure them: formfn-profile roofline --out {path}"
            ) from None
