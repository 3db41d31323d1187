"""
What parent and worker say to each other: JSON lines over a socket of their own, which no library prints
to.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from formfn_profile.errors import MeasurementError
from formfn_profile.measuring.protocol import Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

_CHUNK = 1 << 16
_LONGEST = 64 << 20


class MessageError(MeasurementError):
    """The other end sent what is no message: its program is broken, or something else wrote to its socket."""


@dataclass(frozen=True)
class CountingJob:
    """
    Count `calls` calls, by "hardware" or "simulated" counters. `events` are the hardware events, unused
    when simulated.
    """

    source: str
    calls: int
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """
    One point for a worker: load what the parent prepared, time it, count it, write its output.

    `prepared` is what the backend's `prepare` returned, `output` a file for the network's output (NumPy
    format). No `timing` means untimed, no `counting` uncounted. `layers` is over how many calls its layers
    are measured one by one.
    """

    id: int
    backend: str
    prepared: str
    threads: int
    output: str
    precision: str = "f32"
    timing: Protocol | None = None
    counting: CountingJob | None = None
    layers: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the job as a JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Job:
        """Rebuild a job from `to_dict`'s mapping."""
        timing, counting = fields["timing"], fields["counting"]
        return cls(
            **{key: value for key, value in fields.items() if key not in ("timing", "counting")},
            timing=Protocol.from_dict(timing) if timing else None,
            counting=CountingJob(counting["source"], counting["calls"], tuple(counting["events"]))
            if counting
            else None,
        )


class Channel:
    """One end of the pair of sockets between parent and worker; a message is a JSON object on a line."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._socket.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """
        Send one message.

        Raises:
            OSError: The other end is gone (BrokenPipeError, ConnectionResetError).
        """
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """
        Wait for one message and return it; None when the other end is gone.

        Raises:
            MessageError: What came is no message.
        """
        while b"\n" not in self._buffer:
            if not self._fill():
                return None
        return self._take()

    def receive_ready(self) -> tuple[Sequence[dict[str, Any]], bool]:
        """
        Read once (for a socket that `select` says is readable) and return the messages now whole, and
        whether more can come.

        Raises:
            MessageError: What came is no message.
        """
        more = self._fill()
        messages = []
        while b"\n" in self._buffer:
            messages.append(self._take())
        return messages, more

    def close(self) -> None:
        """Close this end; the other end reads the end of the stream."""
        self._socket.close()

    def _fill(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionResetError:
            return False
        self._buffer += data
        if len(self._buffer) > _LONGEST:
            raise MessageError(f"sent more than {_LONGEST >> 20} MiB without the end of a message")
        return bool(data)

    def _take(self) -> dict[str, Any]:
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise MessageError(f"sent what is no message: {bytes(line[:40])!r}")
        return message
