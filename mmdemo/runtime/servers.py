"""The servers that models may run on: what each serves, if this machine may ask it."""

from __future__ import annotations

from collections.abc import Callable

from mmdemo import remote_rows
from mmdemo.catalog import Remote
from mmdemo.errors import Unreachable
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings

WAIT = 20.0
"""Seconds that a list of models may take: it is short."""


def listed(
    url: str,
    settings: Settings,
    report: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[str]:
    """The keys of the models that the server at a base URL serves, by name.

    Raises:
        InputError: it is no base URL.
        Unreachable: nobody answers there, or the settings forbid to ask.
        ServerFailed: it refuses, or is no such server.
        Cancelled: the user stopped it.
    """
    address = remote_rows.base(url)
    host = remote_rows.host_of(address)
    if settings.offline and not remote_rows.is_loopback(address):
        raise Unreachable(
            f"{host} is another machine, and MMDEMO_OFFLINE keeps this one from asking it: set MMDEMO_OFFLINE=no, or "
            "name a server on this machine."
        )
    from mmdemo.runtime.remote import Server  # here: a page that starts asks no server

    report(Progress(f"Asking {host} for its models"))
    server = Server(Remote(address, "", remote_rows.variable_of(address, settings), seconds=WAIT))
    server.cancelled = cancelled
    return [f"{remote_rows.PREFIX}{name}@{address}" for name in sorted(server.models(), key=str.lower)]
