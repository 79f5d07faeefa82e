"""Results as what the command line prints: one JSON object an input, or text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmdemo.media import subtitles
from mmdemo.media.records import Result, record
from mmdemo.results import Description

FORMATS = ("srt", "vtt", "json", "txt")


def line(found: dict[str, Any]) -> str:
    """A record as one line."""
    return json.dumps(found, ensure_ascii=False) + "\n"


def rendered(file: Path, result: Result, form: str) -> str:
    """A transcript or a track in one of `FORMATS`; a description as its text or, for `json`, its record.

    Subtitles are cut into cues that can be read in time; JSON keeps the segments as they were heard and seen.
    """
    if form == "json":
        return json.dumps(record(result, str(file)), ensure_ascii=False, indent=2) + "\n"
    if isinstance(result, Description):
        return result.text.rstrip("\n") + "\n"
    return subtitles.as_file(result.segments, form)
