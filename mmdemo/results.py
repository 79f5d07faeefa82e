"""What comes out: plain dataclasses. Subtitles, tables and markup are pure functions of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
class Entity:
    """A stretch of a text that a tagger names: `text[start:end]` of it, in characters."""

    text: str
    kind: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True)
class Classification:
    """What a text, picture or recording is, as a classifier says; or what is named in a text, as a tagger says."""

    file: str
    text: str
    """The likeliest class; of a tagger the text itself."""
    provenance: Provenance
    labels: tuple[Label, ...] = ()
    """The likeliest first."""
    entities: tuple[Entity, ...] = ()
    done: bool = True
    error: str = ""


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


@dataclass(frozen=True)
class Nearness:
    """How near a picture or recording is to each of some texts, as cosines: −1 to 1, higher is nearer."""

    file: str
    texts: tuple[str, ...]
    scores: tuple[float, ...]
    provenance: Provenance
    done: bool = True
    error: str = ""

    @property
    def text(self) -> str:
        """The nearest text."""
        return max(zip(self.scores, self.texts, strict=True))[1] if self.scores else ""


@dataclass(frozen=True, eq=False)
class Reason:
    """Why a model said one word.

    Attributes:
        text: the word, as it stands in the answer.
        probability: of the word, given what stands before it.
        looked: by modality (`vision`, `audio`, `text`), (frames, rows, columns) of the picture or frames, (1, 1, times)
            of a sound or text: how much each place counts, of 1 over all modalities.
        without: by modality, the word's probability for the same model that is not given that modality.
    """

    text: str
    probability: float
    looked: Mapping[str, NDArray[np.float32]]
    without: Mapping[str, float] = field(default_factory=dict)

    def share(self, modality: str) -> float:
        """How much of the word comes from a modality, of 1."""
        return float(self.looked[modality].sum())


@dataclass(frozen=True, eq=False)
class Sights:
    """What a model is given of a file.

    Attributes:
        pictures: as its encoder reads them, (height, width, 3) each; several of a video, or the whole picture and the
            tiles that it is cut into.
        times: of each picture, in seconds from the start of the file; empty for a picture.
        segments: of each picture, (height, width): numbers from 0, the same for what belongs together.
        mel: log-mel of the sound, (bands, frames), or None.
        seconds: how much sound `mel` shows.
        start: where in the file that sound begins, in seconds.
        tokens: the answer as the language model writes it, piece by piece.
        read: the question or text beside the media as the model reads it, piece by piece.
    """

    pictures: tuple[NDArray[np.uint8], ...] = ()
    times: tuple[float, ...] = ()
    segments: tuple[NDArray[np.int32], ...] = ()
    mel: NDArray[np.float32] | None = None
    seconds: float = 0.0
    tokens: tuple[str, ...] = ()
    start: float = 0.0
    read: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a model said what it said of a file, word by word, and what it was given."""

    file: str
    text: str
    reasons: tuple[Reason, ...]
    sights: Sights
    provenance: Provenance
    done: bool = True
    error: str = ""
