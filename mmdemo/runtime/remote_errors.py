"""What went wrong with a server, as one sentence each that says what to do, and never with the key in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import httpx

from mmdemo.errors import ServerFailed, ServerRefused, Unreachable
from mmdemo.remote_rows import host_of
from mmdemo.runtime.remote_reading import object_in
from mmdemo.specs import Remote

NAMED = 8
"""Models that an error names."""
SAID = 200
"""Characters of what a server says that are repeated."""


class Told:
    """The sentences about one server, and its key."""

    def __init__(self, source: Remote, key: str = "") -> None:
        self.source = source
        self._given = key
        self.host = host_of(source.url)

    def key(self) -> str:
        """The key; empty if the server needs none."""
        variable = self.source.variable
        if not variable:
            return self._given
        key = os.environ.get(variable, "").strip()
        if not key:
            raise ServerFailed(
                f"The key of the server {self.host} is expected in the environment variable {variable}, which is not "
                "set: set it, and start again."
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ServerFailed(f"What the environment variable {variable} holds is no key: set it again.")
        return key

    def reason(self, error: BaseException) -> BaseException:
        """The sentence for what went wrong on the way."""
        while isinstance(error, BaseExceptionGroup):  # several requests at once: the first says it
            error = error.exceptions[0]
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return Unreachable(
                f"The server {self.host} cannot be reached: check that it runs, and that its address is right."
            )
        if isinstance(error, httpx.TimeoutException):
            return ServerFailed(
                f"The server {self.host} has sent nothing for {self.source.seconds:g} s: look at its log, or raise "
                "MMDEMO_REMOTE_SECONDS."
            )
        if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error).lower():
            return self.broken() if "peer closed" in str(error) else self.garbage()
        if isinstance(error, httpx.DecodingError):
            return self.garbage()
        if isinstance(error, httpx.HTTPError | OSError):
            return self.broken()
        return error

    def refusal(self, response: httpx.Response, said: bytes) -> Exception:
        """The sentence for a status that is not 200."""
        status, host, variable = response.status_code, self.host, self.source.variable
        if status in (401, 403) and variable:
            return ServerFailed(f"The server {host} refuses the key in {variable} (status {status}): check it.")
        if status in (401, 403):
            return ServerFailed(
                f"The server {host} wants a key: name the environment variable that holds it, as "
                f"MMDEMO_REMOTES={self.source.url}=VARIABLE."
            )
        if status == 429:
            wait = response.headers.get("retry-after", "")
            if wait.isdigit():
                return ServerFailed(
                    f"The server {host} has too many requests and asks to wait {wait} s: try again then."
                )
            return ServerFailed(f"The server {host} has too many requests just now: try again later.")
        if status >= 500:
            return ServerFailed(f"The server {host} is out of order (status {status}): look at its log, and try again.")
        if 400 <= status < 500 and status not in (404, 405):
            return ServerRefused(
                f"The server {host} does not take this for {self.source.model} ({self.said(said) or status}): choose "
                "a model that can do it, or ask for less."
            )
        return self.garbage()

    def missing(self, names: Sequence[str]) -> ServerFailed:
        """The error for a model that the server does not have, or a way to ask that it does not know."""
        if names and self.source.model not in names:
            return ServerFailed(
                f"The server {self.host} has no model {self.source.model!r}; it has: {', '.join(names[:NAMED])}."
            )
        if names:
            return ServerFailed(
                f"The server {self.host} does not do this with {self.source.model!r}: choose another model for it."
            )
        return self.garbage()

    def ended(self, event: bytes) -> ServerFailed:
        """The error for an event of a stream that tells of one."""
        return ServerFailed(
            f"The server {self.host} ended the answer with an error ({self.said(event)}): look at its log, and try "
            "again."
        )

    def broken(self) -> ServerFailed:
        """The error for an answer that has no end."""
        return ServerFailed(f"The server {self.host} broke off in the middle of an answer: try again.")

    def garbage(self) -> ServerFailed:
        """The error for what is no answer of such a server."""
        return ServerFailed(
            f"What {self.host} answers is not OpenAI's protocol: check that its address ends where the API begins, "
            "often in /v1."
        )

    def said(self, body: bytes) -> str:
        """What the server says went wrong, short and without the key."""
        value = object_in(body)
        found: Any = value.get("error", value.get("message", value.get("detail"))) if value else None
        if isinstance(found, dict):
            found = found.get("message")
        text = found if isinstance(found, str) else "" if value else body.decode("utf-8", "replace")
        key = self.key()
        text = text.replace(key, "…") if key else text
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SAID].rstrip(".")
