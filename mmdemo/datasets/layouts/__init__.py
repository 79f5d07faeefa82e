"""One file for each way to lay out a data set. A reader takes a `Folder` and gives None for another layout."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mmdemo.datasets.folder import Folder
from mmdemo.datasets.rows import Row
from mmdemo.errors import UnknownName


@dataclass(frozen=True)
class Found:
    """What a reader has read: the name of the layout, rows, and which column was taken for which field."""

    layout: str
    rows: list[Row]
    columns: Mapping[str, str] = field(default_factory=dict)


Reader = Callable[[Folder, Mapping[str, str]], Found | None]

READERS: dict[str, str] = {
    "edited": "edited:read",
    "movielens": "movielens:read",
    "librispeech": "speech:librispeech",
    "commonvoice": "speech:commonvoice",
    "npz": "arrays:read",
    "conll": "conll:read",
    "table": "table:read",
    "subtitles": "subtitled:read",
    "captions": "beside:read",
    "classes": "classes:read",
}
"""Layout to its reader, in the order they are asked: those that a file's name or shape tells for sure come first."""


def get(layout: str) -> Reader:
    """The reader of a layout.

    Raises:
        UnknownName: there is none.
    """
    if layout not in READERS:
        raise UnknownName("layout", layout, READERS)
    module, name = READERS[layout].split(":")
    reader: Reader = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return reader
