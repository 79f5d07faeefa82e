"""Looks at rows before training: opens their media in bounded time, counts copies, and what crosses splits."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mmdemo.datasets.problems import Finding, shown
from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, StudioError
from mmdemo.settings import Settings

CLIP = {"audio": 30.0, "video": 120.0}
"""Seconds that a row may last: Whisper hears 30 at once; a video's frames must fit a model's context."""
GLANCE = 64
"""Pixels of a picture that are decoded to see that it is whole."""


@dataclass(frozen=True)
class Media:
    """What came of opening files.

    Attributes:
        opened: files that were really opened.
        unopened: those that there was no time for.
        broken: a sentence for each that cannot be used, with its row.
        long: a sentence for each row that lasts longer than `CLIP`.
        seconds: of sound and video together, of what was opened.
    """

    opened: int
    unopened: int
    broken: tuple[str, ...]
    long: tuple[str, ...]
    seconds: float


def media(rows: Sequence[Row], settings: Settings, budget: float, cancelled: Callable[[], bool]) -> Media:
    """Open every file once, in an order that makes any part of it a fair sample, for at most `budget` seconds."""
    first: dict[Path, tuple[str, Row]] = {}
    for row in rows:
        for kind, path in (("image", row.image), ("audio", row.audio), ("video", row.video)):
            if path:
                first.setdefault(path, (kind, row))
    files = sorted(first, key=lambda path: zlib.crc32(os.fsencode(path.name)))
    stop = time.monotonic() + budget
    lengths: dict[Path, float] = {}
    broken: list[str] = []
    opened = 0
    for path in files:
        if time.monotonic() > stop or cancelled():
            break
        kind, row = first[path]
        opened += 1
        try:
            lengths[path] = _open(kind, path, settings)
        except StudioError as error:
            broken.append(Finding(f"{row.origin} cannot be used: {shown(str(error))}"))
    long = [
        Finding(f"{row.origin} lasts {seconds:.0f} s, and a model takes {CLIP[kind]:.0f} s at once: cut it.")
        for row, kind, seconds in _lasting(rows, lengths)
        if seconds > CLIP[kind] + 0.5
    ]
    return Media(opened, len(files) - opened, tuple(broken), tuple(long), sum(lengths.values()))


def _open(kind: str, path: Path, settings: Settings) -> float:
    """Open a file as what it is for; its length in seconds, 0 for a picture."""
    if kind == "image":
        from mmdemo.media.images import open_image

        open_image(path, settings, fit=GLANCE)
        return 0.0
    if kind == "audio":
        from mmdemo.media.audio import header_seconds, stream_audio

        blocks = stream_audio(path, settings, block_seconds=1.0)
        with closing(blocks):  # type: ignore[type-var]  # a generator
            next(blocks)
        return header_seconds(path, settings) or 0.0
    from mmdemo.media.video import probe

    found = probe(path, settings)
    if not found.has_picture:
        raise InputError(f"{shown(path.name)} has no picture: choose a video.")
    return found.seconds


def _lasting(rows: Sequence[Row], lengths: dict[Path, float]) -> Iterator[tuple[Row, str, float]]:
    for row in rows:
        for kind, path in (("audio", row.audio), ("video", row.video)):
            if path and (row.end is not None or path in lengths):
                end = row.end if row.end is not None else lengths[path]
                yield row, kind, end - row.start


@dataclass(frozen=True)
class Copies:
    """Rows about the same thing.

    Attributes:
        same: rows that say nothing that another does not: same content, same answer.
        shared: rows whose content another row has too, with another answer.
        contradictions: of those, a sentence for each content that has two labels.
        crossing: a sentence for each content that is in two splits.
        unread: a sentence for each row whose file cannot be read.
    """

    same: int
    shared: int
    contradictions: tuple[str, ...]
    crossing: tuple[str, ...]
    unread: tuple[str, ...]


def copies(rows: Sequence[Row], cancelled: Callable[[], bool]) -> Copies:
    """Compare all rows by content, and by their place in it."""
    by_content: dict[str, list[Row]] = {}
    unread: list[str] = []
    for row in rows:
        if cancelled():
            break
        try:
            by_content.setdefault(row.content, []).append(row)
        except InputError as error:
            unread.append(str(error))
    same = shared = 0
    contradictions: list[str] = []
    crossing: list[str] = []
    for group in by_content.values():
        splits = {row.split: row for row in reversed(group) if row.split}
        if len(splits) > 1:
            told = " and ".join(f"{row.origin} ({split})" for split, row in sorted(splits.items()))
            crossing.append(Finding(f"The same content is in {told}: leave it in one split."))
        places: dict[tuple[object, ...], list[Row]] = {}
        for row in group:
            asked = tuple(one["content"] for one in row.messages if one["role"] != "assistant")
            places.setdefault((row.start, row.end, row.text, row.tokens, asked), []).append(row)
        for at in places.values():
            answers = {(row.targets, row.label, row.tags, repr(row.messages)) for row in at}
            same += len(at) - len(answers)
            shared += len(at) if len(answers) > 1 else 0
            labels = {row.label: row for row in reversed(at) if row.label}
            if len(labels) > 1:
                told = " and ".join(f"{row.origin} ({label})" for label, row in sorted(labels.items()))
                contradictions.append(Finding(f"The same content has two labels: {told}."))
    return Copies(same, shared, tuple(contradictions), tuple(crossing), tuple(unread))
