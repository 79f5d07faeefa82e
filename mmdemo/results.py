"""What comes out: plain dataclasses. Subtitles, tables and markup are pure functions of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Word:
    """One spoken word; times in seconds from the start of the file."""

    start: float
    end: float
    text: str
    probability: float


@dataclass(frozen=True)
class Segment:
    """A stretch of speech, or a shot of a video; times in seconds.

    `kind` says where the text came from: `speech` was heard, `scene` was seen.
    """

    start: float
    end: float
    text: str
    kind: str = "speech"
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Label:
    """A class of a classifier and its probability, 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Provenance:
    """What a result came from, shown beside it.

    Attributes:
        seconds: of work on this one file so far: reading it and running models on it. The time of a batch is shared by
            the files in it: equally by pictures that are not done yet, by length between recordings. Waiting, fetching
            and loading do not count, so the seconds of all files of a request are at most the time it took.
        notes: sentences that the reader needs: no speech was found, a half of the file is missing, words in the
            picture were not read.
    """

    model: str
    device: str = "cpu"
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """What a model says of a picture. `done` is False while words still come."""

    file: str
    text: str
    provenance: Provenance
    labels: tuple[Label, ...] = ()
    text_read: tuple[str, ...] = ()
    question: str = ""
    prompt: str = ""
    """The whole text the answering model was given, when it does not see the picture itself."""
    done: bool = True
    error: str = ""
    """Why this file could not be described; the others of a batch still are."""


@dataclass(frozen=True)
class Transcript:
    """Everything heard in a recording, so far (`done` False) or in all."""

    file: str
    segments: tuple[Segment, ...]
    provenance: Provenance
    language: str = ""
    language_probability: float = 0.0
    seconds: float = 0.0
    """Length of the recording: while it is read what its header says, or what has been read if that is more."""
    progress: float = 1.0
    """Share of the recording that has been heard, 0 to 1; 0 while its length is not known."""
    done: bool = True
    error: str = ""

    @property
    def text(self) -> str:
        """All segments' text, joined by spaces."""
        return " ".join(segment.text.strip() for segment in self.segments).strip()


@dataclass(frozen=True)
class Track:
    """The time-coded captions of a video: what was seen and what was heard, in order of time."""

    file: str
    segments: tuple[Segment, ...]
    provenance: Provenance
    language: str = ""
    seconds: float = 0.0
    """Length of the video."""
    progress: float = 1.0
    """Share of the video that has been read, 0 to 1."""
    done: bool = True
    error: str = ""

    @property
    def text(self) -> str:
        """All segments' text, one a line."""
        return "\n".join(segment.text.strip() for segment in self.segments)


@dataclass(frozen=True, eq=False)
class Speech:
    """A text read aloud, so far (`done` False) or in all."""

    file: str
    text: str
    samples: NDArray[np.float32]
    """Mono, from −1 to 1, (samples,)."""
    rate: int
    """Samples a second."""
    provenance: Provenance
    progress: float = 1.0
    """Share of the text that has been spoken, 0 to 1."""
    done: bool = True
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate if self.rate else 0.0
