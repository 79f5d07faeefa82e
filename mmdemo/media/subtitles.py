"""Segments as subtitles and plain text: pure functions.

Formats: SRT (as VLC and FFmpeg read it), WebVTT (https://www.w3.org/TR/webvtt1/), plain text.
pysubs2 would lose text in braces, which it takes for styling, and does not escape WebVTT; a test reads ours with it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from mmdemo.errors import UnknownName
from mmdemo.media.cues import readable
from mmdemo.results import Segment

__all__ = ["FORMATS", "as_file", "in_order", "readable", "to_srt", "to_txt", "to_vtt"]


def to_srt(segments: Sequence[Segment]) -> str:
    """SubRip. A segment without text is left out."""
    cues = (
        f"{number}\n{_stamp(one.start, ',')} --> {_stamp(one.end, ',')}\n{_lines(one.text).replace('-->', '→')}\n\n"
        for number, one in enumerate(_spoken(segments), 1)
    )
    return "".join(cues)


def to_vtt(segments: Sequence[Segment]) -> str:
    """WebVTT, with `&`, `<` and `>` of the text escaped. A segment without text is left out."""
    cues = (
        f"{_stamp(one.start, '.')} --> {_stamp(one.end, '.')}\n{html.escape(_lines(one.text), quote=False)}\n\n"
        for one in _spoken(segments)
    )
    return "WEBVTT\n\n" + "".join(cues)


def to_txt(segments: Sequence[Segment]) -> str:
    """The text alone, one segment a line."""
    return "".join(_line(one.text) + "\n" for one in segments if _line(one.text))


def in_order(one: Segment) -> Segment:
    """The segment with times that are finite, not negative and in order.

    Raises:
        ValueError: for a time that is no number.
    """
    if not (math.isfinite(one.start) and math.isfinite(one.end)):
        raise ValueError("a time is no number")
    start = max(0.0, one.start)
    end = max(start, one.end)
    return one if (start, end) == (one.start, one.end) else Segment(start, end, one.text, one.kind, one.words)


def as_file(segments: Sequence[Segment], format: str) -> str:
    """The text of a file in one of `FORMATS`: SRT and WebVTT in order of time, cut into cues that can be read in time.

    Raises:
        UnknownName: for another format.
    """
    if format not in FORMATS:
        raise UnknownName("subtitle format", format, FORMATS)
    if format in ("srt", "vtt"):
        segments = sorted(readable(segments), key=lambda cue: cue.start)
    return FORMATS[format](segments)


FORMATS: dict[str, Callable[[Sequence[Segment]], str]] = {
    "srt": to_srt,
    "vtt": to_vtt,
    "txt": to_txt,
}
"""File extension to its writer."""


def _spoken(segments: Iterable[Segment]) -> Iterator[Segment]:
    return (in_order(one) for one in segments if _line(one.text))


def _stamp(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def _line(text: str) -> str:
    """All on one line, with single spaces."""
    return " ".join(text.replace("\0", " ").split())


def _lines(text: str) -> str:
    """Line breaks kept, blank lines dropped: a blank line would end the cue."""
    return "\n".join(filter(None, map(_line, text.splitlines())))
