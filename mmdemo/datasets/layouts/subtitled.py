"""Recordings and videos with subtitles beside them: `talk.mp4` and `talk.srt`, or `talk.en.vtt`. A row a cue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mmdemo.datasets import values
from mmdemo.datasets.encodings import text_of
from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.rows import Row
from mmdemo.media import endings

ENDINGS = (".srt", ".vtt", ".ass", ".ssa")


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """None where no subtitles have a recording or a video of their name beside them."""
    media = {path.with_suffix(""): path for path in _media(folder)}
    rows: list[Row] = []
    found = False
    for path in folder.files:
        if path.suffix.lower() not in ENDINGS:
            continue
        bare = path.with_suffix("")
        language = values.language(bare.suffix[1:]) if bare.suffix and bare not in media else ""
        medium = media.get(bare) or (media.get(bare.with_suffix("")) if bare.suffix else None)
        if medium is None:
            folder.problems.add(
                "subtitles alone",
                f"{folder.name(path)} has no recording or video of its name beside it; it was left out.",
            )
            continue
        found = True
        rows += _cues(path, medium, language, folder)
    return Found("subtitles", rows, {"times": "start, end", "cues": "targets"}) if found else None


def _media(folder: Folder) -> list[Path]:
    """Recordings and videos; for a file that was given alone, those beside it."""
    files = folder.media() if folder.only is None else sorted(folder.root.glob("*.*"))
    return [path for path in files if endings.kind(path) in ("audio", "video") and path.is_file()]


def _cues(path: Path, medium: Path, language: str, folder: Folder) -> Iterator[Row]:
    import pysubs2

    name = folder.name(path)
    try:
        events = pysubs2.SSAFile.from_string(text_of(path, name, folder.settings, folder.problems))
    except (pysubs2.Pysubs2Error, ValueError, KeyError, IndexError) as error:
        folder.problems.add("broken subtitles", f"{name} cannot be read as subtitles ({error}) and was left out.")
        return
    kind = endings.kind(medium)
    for number, event in enumerate(events, 1):
        words = " ".join(event.plaintext.split())
        start, end = event.start / 1000, event.end / 1000
        origin = f"{name}, cue {number}"
        if end <= start:
            folder.problems.add("times in the wrong order", f"{origin} ends before it starts, and was left out.")
        elif words and not event.is_comment:
            yield Row(
                origin,
                audio=medium if kind == "audio" else None,
                video=medium if kind == "video" else None,
                targets=(words,),
                start=max(start, 0.0),
                end=end,
                language=language,
            )
