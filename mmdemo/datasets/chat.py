"""Chats in the two usual forms, `messages` (OpenAI) and `conversations` (ShareGPT), as one.

ShareGPT as LLaMA-Factory reads it: https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdemo.datasets.values import listed, said

ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "bot": "assistant",
    "model": "assistant", "chatgpt": "assistant", "system": "system", "observation": "tool", "tool": "tool",
    "function_call": "assistant", "function": "assistant",
}  # fmt: skip
MEDIA = ("image", "audio", "video")
TAGS = {kind: f"<{kind}>" for kind in MEDIA}


def messages(value: Any, values: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """Messages with `role` and `content`, media as `<image>`, `<audio>`, `<video>` in it; empty if they cannot be read.

    A system prompt of its own column comes first. A medium that no message mentions belongs before the first question.
    """
    found: list[dict[str, str]] = []
    items = listed(value)
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, Mapping):
            return ()
        role = ROLES.get(said(item.get("role", item.get("from", ""))).lower())
        content = _content(item.get("content", item.get("value")))
        if role is None or content is None:
            return ()
        found.append({"role": role, "content": content})
    system = said(values.get("system"))
    if system and found and found[0]["role"] != "system":
        found.insert(0, {"role": "system", "content": system})
    if not any(message["role"] == "user" for message in found):
        return ()
    everything = "".join(message["content"] for message in found)
    for kind, tag in TAGS.items():
        if tag not in everything and any(values.get(column) for column in (kind, kind + "s")):
            first = next(message for message in found if message["role"] == "user")
            first["content"] = f"{tag}\n{first['content']}"
    return tuple(found)


def media(value: Any) -> dict[str, list[str]]:
    """Files that the parts of messages name, by kind."""
    found: dict[str, list[str]] = {}
    items = listed(value)
    for item in items if isinstance(items, list) else ():
        parts = item.get("content") if isinstance(item, Mapping) else None
        for part in parts if isinstance(parts, list) else ():
            kind = _kind(part)
            address = _address(part, kind) if kind else ""
            if address:
                found.setdefault(kind, []).append(address)
    return found


def _content(value: Any) -> str | None:
    """Text, or the parts of a message as text."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    pieces: list[str] = []
    for part in value:
        kind = _kind(part)
        if kind:
            pieces.append(TAGS[kind])
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            pieces.append(part["text"])
        elif isinstance(part, str):
            pieces.append(part)
        else:
            return None
    return "\n".join(pieces)


def _kind(part: Any) -> str:
    """The medium of a part: of the types `image`, `image_url`, `input_audio`, … the kind."""
    name = said(part.get("type")) if isinstance(part, Mapping) else ""
    return next((kind for kind in MEDIA if kind in name), "")


def _address(part: Mapping[str, Any], kind: str) -> str:
    for key in (kind, f"{kind}_url", f"input_{kind}", "path", "url", "file", "data"):
        value = part.get(key)
        if isinstance(value, Mapping):
            value = value.get("url") or value.get("path") or value.get("file")
        if isinstance(value, str) and value:
            return value
    return ""
