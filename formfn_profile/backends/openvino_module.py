"""OpenVINO, imported so that it reports nothing to anybody."""

from __future__ import annotations

import locale
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TOLD = 4  # lines: of an unknown operator the last of these names it


def openvino() -> Any:
    """
    Import OpenVINO without its telemetry and return it.

    Where the package `openvino_telemetry` is found, OpenVINO sends events when it is imported and whenever it
    converts a model, without having asked, each from a forked copy of the process, which may then work beside
    a timed call; and a conversion waits a second for them. Where it is not found, OpenVINO has a substitute
    that does nothing. A program that has imported OpenVINO before keeps what it has.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: not to be found
    import openvino

    return openvino


def save(model: Any, path: Path) -> None:
    """Write a model as IR: weights as they are (no f16 compression)."""
    with _numbers_with_points():
        openvino().save_model(model, path, compress_to_fp16=False)


@contextmanager
def _numbers_with_points() -> Iterator[None]:
    """
    OpenVINO writes IR as the C library writes numbers, and reads "0,25" as 0: a model's code or a library
    of its may have chosen a locale with commas.
    """
    before = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def reason(error: BaseException) -> str:
    """Return what OpenVINO says went wrong, in a line, without the places in its sources that it lists."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    return " ".join(said[:_TOLD]) or type(error).__name__
