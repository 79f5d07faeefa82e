"""Whether a request comes from the machine that the studio runs on: some things are not for others to choose."""

from __future__ import annotations

from typing import Any

from mmdemo.remote_rows import is_loopback

FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")
"""What a proxy adds: whoever asks through one seems to sit at the machine that it runs on."""


def is_here(request: Any) -> bool:
    """Whether a request comes from this machine: code that may run here, or its token, is not for others to use.

    The connection, and the address that the page was opened by, are this machine's own, and no proxy is between.
    """
    client, headers = getattr(request, "client", None), getattr(request, "headers", None) or {}
    if client is None or any(headers.get(name) for name in FORWARDED):
        return False
    host = f"[{client.host}]" if ":" in client.host else client.host
    try:
        return is_loopback(f"http://{host}") and is_loopback(f"http://{headers.get('host', '')}")
    except ValueError:  # an address that is none
        return False
