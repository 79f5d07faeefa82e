"""Files the page shows or hands out: small copies of pictures, downloads, samples. All lie in the run's own folder."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdemo.errors import InputError
from mmdemo.media.records import record
from mmdemo.results import Description, Speech
from mmdemo.settings import Settings
from mmdemo.ui.scratch import scratch

SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
WIDEST = 720
"""Longer edge in pixels of a picture on the page."""
PICTURES, VIDEOS, SOUNDS = {".jpg", ".jpeg", ".png", ".webp"}, {".mp4", ".webm"}, {".wav", ".flac", ".mp3", ".ogg"}


def samples(endings: set[str], most: int = 3) -> list[Path]:
    """The samples of a kind that came with the program, by name."""
    there = sorted(SAMPLES.iterdir()) if SAMPLES.is_dir() else []
    return [path for path in there if path.suffix in endings][:most]


def small_copy(path: Path, settings: Settings, widest: int = WIDEST) -> Path | None:
    """A JPEG of a picture for the page: upright, no wider or higher than `widest`. None if it cannot be read."""
    from mmdemo.media.images import open_image

    about = path.stat() if path.exists() else None
    name = hashlib.sha256(f"{path}|{about and about.st_mtime_ns}|{widest}".encode()).hexdigest()[:24]
    place = scratch.shared("small", f"{name}.jpg")
    if not place.exists():
        try:
            picture = open_image(path, settings, fit=widest)
        except InputError:
            return None
        picture.save(place, quality=82)
    return place


def public(path: Path) -> Path:
    """`path` if it was uploaded or made here, so that the page may show it; else a copy: samples lie elsewhere."""
    if path.resolve().is_relative_to(scratch.run.parent.resolve()):
        return path
    about = path.stat()
    mark = hashlib.sha256(f"{path.resolve()}|{about.st_mtime_ns}|{about.st_size}".encode()).hexdigest()[:16]
    copy = scratch.shared("samples", f"{mark}-{path.name}")  # two rows of one data set may have files of one name
    if not copy.exists():
        shutil.copyfile(path, copy)
    return copy


def write(name: str, text: str) -> str:
    """Write a download called `name`, in a folder of its own; its path."""
    place = scratch.place(name)
    place.write_text(text, "utf-8")
    return str(place)


def plain(result: Any) -> dict[str, Any]:
    """A result as a JSON object; its file by name alone, since the page knows only copies.

    Speech that is done has a WAV file too, whose path is its `sound`.
    """
    found = record(result, Path(result.file).name)
    if isinstance(result, Speech) and result.done and not result.error:
        from mmdemo.media.audio import write_wav

        place = scratch.place("speech.wav")
        write_wav(place, result.samples, result.rate)
        found["sound"] = str(place)
    return found


def as_json(results: Sequence[Any]) -> str:
    """Results as a JSON array."""
    return json.dumps([plain(result) for result in results], ensure_ascii=False, indent=2)


def as_csv(results: Sequence[Description]) -> str:
    """Descriptions as a table: one row a picture. No cell is taken for a formula by a spreadsheet."""
    table = io.StringIO(newline="")
    columns = ("file", "text", "question", "labels", "text_read", "model", "seconds", "error")
    writer = csv.DictWriter(table, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for one in results:
        row = {
            "file": Path(one.file).name,
            "text": one.text,
            "question": one.question,
            "labels": "; ".join(f"{label.name} {label.probability:.2f}" for label in one.labels),
            "text_read": " / ".join(one.text_read),
            "model": one.provenance.model,
            "seconds": f"{one.provenance.seconds:.2f}",
            "error": one.error,
        }
        writer.writerow(harmless(row))
    return table.getvalue()


def harmless(row: Mapping[str, str]) -> dict[str, str]:
    """A row whose cells a spreadsheet reads as text: an apostrophe before what could begin a formula.

    Source: OWASP, "CSV Injection".
    """
    return {key: "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value for key, value in row.items()}
