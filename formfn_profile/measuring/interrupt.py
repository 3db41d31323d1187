"""
Ending a long run when a signal asks for it, at a point where nothing is lost.

A Python signal handler runs wherever the interpreter happens to be: in a callback of a library, say, or
in a finaliser, and an exception raised there is printed and dropped. So the handler only notes the
signal, and the run asks at safe points.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from typing_extensions import Self

TERMINATED = 143


class Interrupt:
    """
    A context manager that takes over SIGINT and SIGTERM of the process; `check` raises what they ask
    for. A second signal no longer waits for a safe point.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def check(self) -> None:
        """Raise KeyboardInterrupt after SIGINT, SystemExit(143) after SIGTERM; else do nothing."""
        if self.signal is not None:
            self._end(self.signal)

    def __enter__(self) -> Self:
        """Take the signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back; end the process if one came whose exception got lost."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if kind is None or issubclass(kind, Exception):
            self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None:
            self._end(number)
        self.signal = number
        said = b"finishing what is under way" if number == signal.SIGINT else b"stopping"
        os.write(2, b"\n" + said + b"; once more to stop at once\n")  # print() may be what was interrupted

    @staticmethod
    def _end(number: int) -> NoReturn:
        if number == signal.SIGTERM:
            raise SystemExit(TERMINATED)
        raise KeyboardInterrupt
