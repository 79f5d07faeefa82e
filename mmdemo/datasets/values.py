"""What stands in a cell, as text, as a list or as seconds, whatever the file's format made of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def said(value: Any, *, empty: bool = False) -> str:
    """A value as text, with single spaces at its ends cut; numbers that are whole without a point.

    Args:
        empty: lists and objects count too, as whether there is anything.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list | tuple | Mapping):
        if not value:
            return ""
        return "…" if empty else json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bytes):
        return "…" if empty and value else ""
    return str(value).strip()


def listed(value: Any) -> Any:
    """A list, also where a CSV has written one as JSON; anything else as it is."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and value[:1] == "[" and value.rstrip()[-1:] == "]":
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def texts(value: Any) -> tuple[str, ...]:
    """All texts of a cell: of a list each, else the one."""
    found = listed(value)
    items = found if isinstance(found, list) else [found]
    if len(items) == 1 and isinstance(items[0], Mapping) and "text" in items[0]:  # SQuAD's answers
        items = listed(items[0]["text"]) if isinstance(listed(items[0]["text"]), list) else [items[0]["text"]]
    return tuple(dict.fromkeys(text for text in (said(item) for item in items) if text))


def label(value: Any) -> str:
    """A class, of several all, separated by commas."""
    found = listed(value)
    return ", ".join(filter(None, map(said, found))) if isinstance(found, list) else said(found)


def words(value: Any) -> tuple[str, ...]:
    """Tokens or tags: a list, or text with spaces between them."""
    found = listed(value)
    return tuple(map(said, found)) if isinstance(found, list) else tuple(said(found).split())


def seconds(value: Any) -> float | None:
    """A time: seconds, or `[hours:]minutes:seconds`; None where there is none.

    Raises:
        ValueError: not a time.
    """
    text = said(value).replace(",", ".")
    if not text:
        return None
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise ValueError(f"{text!r} is not a time")
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def language(value: Any) -> str:
    """An ISO 639 code: `zh` of `zh_CN`; empty for what is none."""
    code = re.split(r"[-_]", said(value).lower())[0]
    return code if re.fullmatch(r"[a-z]{2,3}", code) else ""
