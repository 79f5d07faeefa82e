"""Python imports this at its start where the tests put this folder on PYTHONPATH: no socket leaves the machine.

An attempt to connect to, or to look up, anything but the loopback address is written to the file that STAYS_HERE names,
and refused. It is an audit hook, so no library can go round it in Python; processes started from here get it too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

RECORD = os.environ.get("STAYS_HERE", "")
PLACE_OF_HOST = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0}
PLACE_OF_ADDRESS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}


def here(host: object) -> bool:
    """Whether a host is this machine's own; no host, or any, is what a server binds to."""
    import ipaddress

    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def watch(event: str, given: tuple[object, ...]) -> None:
    """Refuse what would leave the machine."""
    if event in PLACE_OF_HOST:
        host = given[PLACE_OF_HOST[event]]
    elif event in PLACE_OF_ADDRESS:
        address = given[PLACE_OF_ADDRESS[event]]
        if not isinstance(address, tuple):
            return  # a socket of the file system, or one that is connected already
        host = address[0]
    else:
        return
    if not here(host):
        with Path(RECORD).open("a", encoding="utf-8") as record:
            record.write(f"{event} {host!r} by {sys.argv[:3]}\n")
        raise PermissionError(f"{event} to {host!r} would leave this machine")


if RECORD:
    sys.addaudithook(watch)
