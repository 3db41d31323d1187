"""Reaching a Dask scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import TYPE_CHECKING, Any

from formfn_profile.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

CONNECT_WITHIN_S = 10.0
LOST = (
    "the connection to the Dask scheduler is lost. Every finished record is kept: run the same again when it"
    " is back"
)
_ADDRESS = re.compile(r"dask://([^/\s]+:\d+)")


@contextlib.contextmanager
def connected(executor: Client | str) -> Iterator[Client]:
    """
    Give a client as it is, or one of the scheduler at "dask://HOST:PORT" until the block ends.

    Raises:
        MeasurementError: Dask is not installed, no scheduler answers there, or a client is asynchronous.
    """
    if not isinstance(executor, str):
        if executor.asynchronous:
            raise MeasurementError("the Dask client is asynchronous: give one made without asynchronous=True")
        yield executor
        return
    address = _ADDRESS.fullmatch(executor)
    if not address:
        raise MeasurementError(
            f"there is no executor {executor!r}: name a Dask scheduler as dask://HOST:PORT"
        )
    try:
        from distributed import Client
    except ImportError:
        raise MeasurementError(
            "a Dask cluster needs dask.distributed, which is not installed. Run: pip install"
            " 'formfn-profile[cluster]'"
        ) from None
    for name in ("distributed", "distributed.client"):  # what matters is told in our words
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(f"tcp://{address[1]}", timeout=CONNECT_WITHIN_S, set_as_default=False)
    except (OSError, asyncio.TimeoutError, ValueError):
        raise MeasurementError(
            f"no Dask scheduler answered at {address[1]} within {CONNECT_WITHIN_S:g} s. Start one there: dask"
            f" scheduler --port {address[1].rpartition(':')[2]}"
        ) from None
    try:
        yield client
    finally:
        client.close()


def workers(client: Client) -> dict[str, dict[str, Any]]:
    """
    Return what the scheduler knows of the workers that take tasks, by address.

    Raises:
        MeasurementError: The connection is lost.
    """
    if client.status != "running":
        raise MeasurementError(LOST)
    try:
        # Client.scheduler_info may give what a periodic request heard, which asks for no workers.
        told = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=CONNECT_WITHIN_S)
    except (OSError, asyncio.TimeoutError):
        raise MeasurementError(LOST) from None
    found: dict[str, dict[str, Any]] = told["workers"]
    return {address: each for address, each in found.items() if each["status"] == "running"}
