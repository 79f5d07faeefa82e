"""A file of a row in small: a picture, or a player."""

from __future__ import annotations

import mimetypes
from html import escape
from pathlib import Path

from mmdemo.settings import Settings
from mmdemo.ui import files, parts
from mmdemo.ui.i18n import say

WIDEST = 240
"""Longer edge in pixels of a picture beside a row."""


def small(path: Path, settings: Settings, language: str) -> str:
    """A picture in small, or a player; nothing where the file is gone or cannot be read."""
    kind = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
    if not path.is_file():
        return ""
    if kind == "image":
        copy = files.small_copy(path, settings, WIDEST)
        return f'<img class="mm-thumb" src="{escape(parts.file_url(copy))}" alt="{escape(path.name)}">' if copy else ""
    if kind in ("audio", "video"):
        name = escape(f"{say('playing', language)} {path.name}")
        url = escape(parts.file_url(files.public(path)))
        early = "metadata" if kind == "video" else "none"  # so that its first frame shows
        return f'<{kind} class="mm-thumb" controls preload="{early}" src="{url}" aria-label="{name}"></{kind}>'
    return ""
