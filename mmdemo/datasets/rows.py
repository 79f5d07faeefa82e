"""A row of a data set, and a data set: plain dataclasses that every reader makes and every recipe takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmdemo.errors import InputError

SPLITS = ("train", "validation", "test")
"""Names of splits, whatever a data set calls its own (`val`, `dev`, `valid`, `eval`): "" where it names none."""
MEDIA = ("image", "audio", "video")
PIECE = 1 << 20


@dataclass(frozen=True)
class Row:
    """One example: what a model is given, and what it should answer.

    Attributes:
        origin: where it stands, as a person would look for it: `metadata.csv, row 12`.
        image, audio, video: absolute paths of its media, as many as it has.
        text: what the model reads besides them: the sentence to classify, the question about a picture.
        targets: reference texts, the first is preferred: captions of a picture, the words of a recording, an answer.
        label: its class.
        tokens, tags: for token classification, as long as each other; the tags are BIO.
        messages: for chat: `role` and `content`; the content is text with `<image>`, `<audio>`, `<video>` in it.
        start, end: the part of the recording or video that it is about, in seconds; `end` is None for all of it.
        language: an ISO 639-1 code, or empty.
        split: one of `SPLITS`, or empty.
        more: further columns that nothing here reads.
    """

    origin: str
    image: Path | None = None
    audio: Path | None = None
    video: Path | None = None
    text: str = ""
    targets: tuple[str, ...] = ()
    label: str = ""
    tokens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    messages: tuple[Mapping[str, str], ...] = ()
    start: float = 0.0
    end: float | None = None
    language: str = ""
    split: str = ""
    more: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def media(self) -> tuple[Path, ...]:
        """Its files, in the order of `MEDIA`."""
        return tuple(path for path in (self.image, self.audio, self.video) if path)

    @cached_property
    def dialogue(self) -> tuple[Mapping[str, str], ...]:
        """The conversation up to its last answer; empty if there is no answer in it."""
        ends = [place for place, one in enumerate(self.messages) if one.get("role") == "assistant"]
        return self.messages[: ends[-1] + 1] if ends else ()

    @property
    def answer(self) -> str:
        """What is to be said at the end: the last answer of the conversation, else the preferred target."""
        return self.dialogue[-1]["content"] if self.dialogue else self.targets[0]

    @cached_property
    def content(self) -> str:
        """What tells its input from another's, as SHA-256: its files' bytes if it has files, else what is read.

        Two rows about one file have the same content, whatever they say of it, so that a split by it never has the
        file on both sides.

        Raises:
            InputError: a file cannot be read; names the row and the file.
        """
        digest = hashlib.sha256()
        for path in self.media:
            try:
                with path.open("rb") as file:
                    while piece := file.read(PIECE):
                        digest.update(piece)
            except OSError as error:
                raise InputError(f"{self.origin}: {path.name} cannot be read ({error.strerror}).") from error
        if not self.media:
            said = [message["content"] for message in self.messages if message.get("role") == "user"]
            digest.update("\x1f".join((self.text, *self.tokens, *said)).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Rows and where they came from.

    Attributes:
        folder: what was read: a folder, or the folder of a file.
        layout: what it was taken for, in a word: `imagefolder`, `csv`, `conll`, …
        columns: which column of the files was taken for which field of `Row`.
        problems: what was left out or repaired, one sentence each, with file and row.
    """

    name: str
    folder: Path
    rows: tuple[Row, ...]
    layout: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Row, ...]:
        """The rows of one of `SPLITS`, or of "" for those that name none."""
        return tuple(row for row in self.rows if row.split == name)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all rows' content and what is to be learned of them; the order does not matter."""
        digest = hashlib.sha256()
        lines = sorted(
            "\x1f".join((row.content, row.split, row.text, row.label, *row.targets, *row.tags, repr(row.messages)))
            for row in self.rows
        )
        digest.update("\n".join(lines).encode())
        return digest.hexdigest()
