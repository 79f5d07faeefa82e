"""Reading what a server with OpenAI's protocol sends, which may be anything: never more than a bound of it at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx

MOST = 8 << 20
"""Bytes of one line of a stream, or of an answer that is no stream: more is no answer."""


async def body_of(response: httpx.Response) -> bytes | None:
    """The whole body; None if there is more of it than of any answer."""
    found = bytearray()
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > MOST:
            return None
    return bytes(found)


async def lines_of(response: httpx.Response, garbage: Callable[[], Exception]) -> AsyncIterator[bytes]:
    """The lines of a stream, each no longer than `MOST`."""
    rest = bytearray()
    async for chunk in response.aiter_bytes():
        rest += chunk
        *whole, last = rest.split(b"\n")
        for line in whole:
            yield bytes(line).rstrip(b"\r")
        rest = bytearray(last)
        if len(rest) > MOST:
            raise garbage()
    if rest:
        yield bytes(rest)


def object_in(data: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def names_in(value: Mapping[str, Any]) -> list[str]:
    """The names in a list of models."""
    entries = value.get("data")
    found = [one.get("id") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return [name for name in found if isinstance(name, str) and name]


def piece_of(event: Mapping[str, Any]) -> tuple[str, bool]:
    """The text of an event, and whether it is the last of its answer; what the model thinks to itself is left out."""
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = first.get("delta") or first.get("message") or {}
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else "", bool(first.get("finish_reason"))
