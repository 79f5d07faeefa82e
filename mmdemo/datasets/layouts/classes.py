"""A folder for each class, with or without folders for the splits above or below: `train/cat/1.jpg`."""

from __future__ import annotations

from collections.abc import Mapping

from mmdemo.datasets.folder import Folder
from mmdemo.datasets.layouts import Found
from mmdemo.datasets.names import split_of
from mmdemo.datasets.problems import shown
from mmdemo.datasets.rows import Row
from mmdemo.media import endings

GENERAL = (
    "images", "image", "img", "imgs", "pictures", "photos", "audio", "audios", "wav", "wavs", "clips", "video",
    "videos", "media", "files", "data",
)  # fmt: skip
"""Folders that say what is in them, not of which class it is."""


def read(folder: Folder, given: Mapping[str, str]) -> Found | None:
    """None where no medium stands in a folder that could be a class."""
    rows: list[Row] = []
    for path in folder.media():
        name = folder.name(path)
        parents = path.relative_to(folder.root).parts[:-1]
        named = [part for part in parents if not split_of(part) and part.lower() not in GENERAL]
        if not named:
            folder.problems.add("media outside the classes", f"{name} is in no folder of a class and was left out.")
            continue
        split = next(filter(None, map(split_of, parents)), "")
        rows.append(Row(name, **{endings.kind(path): path}, label=shown(named[-1]), split=split))  # type: ignore[arg-type]
    return Found("classes", rows, {"folder": "label", "file": "media"}) if rows else None
