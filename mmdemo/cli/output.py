"""Results as what the command line prints: one JSON object an input, text, or a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmdemo.media import subtitles
from mmdemo.media.records import Result, record
from mmdemo.results import Classification, Description, Explanation, Nearness, Speech

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
    if isinstance(result, Explanation):
        return "".join(f"{text}\n" for text in reasons(result))
    if isinstance(result, Description | Speech | Nearness | Classification):
        return result.text.rstrip("\n") + "\n"
    return subtitles.as_file(result.segments, form)


def reasons(result: Explanation) -> list[str]:
    """A line a word: how likely it is, how much of it each modality counts, how likely it is without."""
    rows = [("word", "likely", "looked at", "without it")]
    for one in result.reasons:
        looked = " ".join(f"{name} {one.share(name):.0%}" for name in one.looked)
        without = " ".join(f"{name} {value:.0%}" for name, value in one.without.items())
        rows.append((one.text, f"{one.probability:.0%}", looked, without))
    return table(rows)


def megabytes(count: int) -> str:
    """`142 MB`, `4.5 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows with their columns aligned, the last one ragged."""
    cells = list(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in cells]
