"""The program that asks the Hub: `hub_ask.py` runs it, watches it and stops it.

It reads one JSON object from standard input, whose `action` names a function of `hub_download`, `hub_heads`,
`hub_search` or `hub_upload`, and writes one JSON object a line; the last one has `done`, or `error` with a `message`.
`huggingface_hub` reads HF_ENDPOINT, HF_TOKEN and its other settings from the environment.

The Hub's client has waits of its own, without a bound: for an hour, if a server says `Retry-After: 3600`, and half a
minute for a network that is not there. Here every answer is looked at first, so that all waits are in `patient`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")
TIMEOUT = 20
"""Seconds to wait for an answer that is a list."""
pauses: list[float] = []
"""Seconds before something is asked again that failed for a reason that may pass: the job says them."""
PATIENCE = 60
"""Most seconds to wait because the Hub says so."""
ACTIONS = {
    "download": "mmdemo.runtime.sources.hub_download",
    "look": "mmdemo.runtime.sources.hub_download",
    "heads": "mmdemo.runtime.sources.hub_heads",
    "upload": "mmdemo.runtime.sources.hub_upload",
    "search": "mmdemo.runtime.sources.hub_search",
}


class Refused(Exception):
    """An answer that may be another one later. `wait`: seconds, where the Hub says how many."""

    def __init__(self, status: int, wait: float | None = None) -> None:
        super().__init__(str(status))
        self.status, self.wait = status, wait


def watch_answers() -> None:
    """Let the Hub's client raise `Refused` where it would wait by itself."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def make() -> Any:
        client = default_client_factory()
        client.event_hooks = {**client.event_hooks, "response": [refuse]}
        send = client.send

        def sent(request: Any, **options: Any) -> Any:
            import httpx2

            limits = request.extensions.get("timeout", {})
            if not any(limits.values()):  # the client waits for ever for a list of models
                request.extensions["timeout"] = httpx2.Timeout(TIMEOUT).as_dict()
            try:
                return send(request, **options)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise ConnectionError(str(error)) from error

        client.send = sent  # type: ignore[method-assign]
        return client

    set_client_factory(make)


def refuse(response: Any) -> None:
    """Look at an answer.

    Raises:
        Refused: for 408, 429 and 5xx.
    """
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise Refused(response.status_code, wait_of(response.headers) if response.status_code in (429, 503) else None)


def wait_of(headers: Any) -> float | None:
    """Seconds that an answer asks to wait: `Retry-After` (RFC 9110, 10.2.3), or the Hub's own `ratelimit`."""
    from email.utils import parsedate_to_datetime

    from huggingface_hub.utils._http import parse_ratelimit_headers

    given = headers.get("retry-after", "").strip()
    if given.isdigit():
        return float(given)
    if given:
        try:
            return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
        except ValueError:
            return None
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else None


def patient(action: Callable[[], T], moved: Callable[[], bool] | None = None) -> T:
    """What `action` returns, asked again a few times where that may help.

    Args:
        moved: of a download, whether the try that failed got further than the one before it: then the count begins
            anew. An address that nobody answers at is asked again only then; where nothing has come yet, it is told.

    Raises:
        Refused: the Hub asks for more patience than `PATIENCE`, or never answers well.
        Exception: whatever else `action` raises.
    """
    import httpx2

    passing = (Refused, httpx2.TransportError) if moved is None else (Refused, httpx2.TransportError, ConnectionError)
    failed = 0
    while True:
        try:
            return action()
        except Exception as error:
            failed = 1 if moved and moved() else failed + 1
            wait = getattr(error, "wait", None)
            if not isinstance(error, passing) or failed > len(pauses) or (wait or 0) > PATIENCE:
                raise
            pause = pauses[failed - 1] if wait is None else wait
            say({"waiting": round(pause)})
            time.sleep(pause)
            say({"waiting": 0})


def meaning(error: Exception) -> tuple[str, str]:
    """Which kind of failure an exception is, and a word on it."""
    import httpx2
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", 0)
    text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    if isinstance(error, Refused):
        wait = f"{error.wait:.0f}" if error.wait else ""
        return ("busy", wait) if error.status == 429 else ("trouble", str(error.status))
    if isinstance(error, errors.GatedRepoError):
        return "gated", text
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "unreachable", text  # the client's word for a file that it could not ask for
    absent = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError)
    if isinstance(error, absent) or status == 404:
        return "missing", text
    if status in (401, 403):
        return "denied", text
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "space", text
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "switched off", text
    if isinstance(error, (httpx2.TransportError, ConnectionError, TimeoutError)):
        return "unreachable", text
    return "other", text


def say(line: dict[str, Any]) -> None:
    """Write one line."""
    print(json.dumps(line), flush=True)


def end_with(parent: int) -> None:
    """End this process when the one that started it is gone: it was killed, and nobody stops this one any more."""
    import psutil

    while psutil.pid_exists(parent) and os.getppid() == parent:  # on Windows the second stays as it is
        time.sleep(0.25)
    os._exit(1)


def main() -> int:
    """Read the job, do it, report how it ended."""
    threading.Thread(target=end_with, args=(os.getppid(),), name="parent", daemon=True).start()
    job = json.load(sys.stdin)
    pauses[:] = job["pauses"]
    try:
        watch_answers()
        last = getattr(import_module(ACTIONS[job["action"]]), job["action"])(job)
    except Exception as error:  # noqa: BLE001  # reported to the program that reads this one's output
        kind, message = meaning(error)
        last = {"error": kind, "message": message}
    say(last)
    return 0 if "done" in last else 1
