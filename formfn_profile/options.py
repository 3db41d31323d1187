"""Command-line options shared by the commands: values checked where they are read, one line for a mistake."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USAGE = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        """Print the message to stderr and exit with status 2."""
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(USAGE)


def integer(minimum: int) -> Callable[[str], int]:
    """Return a reader of a whole number that is `minimum` at least."""

    def read(text: str) -> int:
        if not text.strip().lstrip("+-").isdecimal():
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
        if int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text} is too small: it must be {minimum} or more")
        return int(text)

    return read


def integers(minimum: int) -> Callable[[str], tuple[int, ...]]:
    """Return a reader of a list such as 10,20,30; repeated numbers count once."""

    def read(text: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(integer(minimum)(part) for part in text.split(",")))

    return read


def seconds(text: str) -> float:
    """Read a time in seconds, zero or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds")
    return value


def names(text: str) -> tuple[str, ...]:
    """Read a list of names such as torch,openvino-cpu; repeated names count once."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise argparse.ArgumentTypeError("no name given")
    return found


def percentage(text: str) -> float:
    """Read a share such as 5%, which is 0.05; the sign is needed, so that nobody has to guess."""
    number, sign, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not sign or rest or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage such as 5%")
    return value / 100


def settings(parser: argparse.ArgumentParser, path: Path) -> list[str]:
    """
    Return the options that a TOML file holds, as words of a command line: a key is an option's long name
    without the dashes, a list is joined by commas, true sets a switch.

    The parser's `error` ends the program where the file cannot be read or holds what is no option.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        parser.error(f"cannot read {path}: {error.strerror}")
    try:
        found: dict[str, object] = _toml().loads(text)
    except ValueError as error:
        parser.error(f"{path} is not TOML: {error}")
    words: list[str] = []
    for key, value in found.items():
        option = f"--{key.replace('_', '-')}"
        if option not in parser._option_string_actions or option == "--config":  # noqa: SLF001 - no public way
            parser.error(f"{path}: there is no option {key!r}")
        if isinstance(value, bool):
            words += [option] if value else []
        elif key == "input" and isinstance(value, list):  # an option that is repeated
            words += [word for each in value for word in (option, str(each))]
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return words


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    import tomli

    return tomli
