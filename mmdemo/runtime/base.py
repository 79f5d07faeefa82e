"""What a backend is: a loaded checkpoint that can do one or more things. One file per engine in `backends/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.catalog import ModelSpec
from mmdemo.errors import Cancelled
from mmdemo.results import Label, Segment

RATE = 16_000
"""Samples a second that every speech model here takes."""

Audio = NDArray[np.float32]
"""Mono samples from −1 to 1 at `RATE` a second, (samples,)."""


@dataclass(frozen=True)
class Load:
    """What a backend's constructor gets.

    Attributes:
        folders: for each part of the checkpoint (its own key first, then `spec.parts`) the folder with its files.
        device: `cpu`, `cuda` or `mps`.
        cancelled: whether the user has stopped. A constructor asks with `go_on` before each long step and not after
            the last one: a model that is loaded is kept, whoever wanted it.
        quantization: one of `quantization.NAMES`, which the engine offers on this device.
        budget: bytes that it may take, by place, where it takes more than one: `cuda:0`, `cpu`, the rest on the disk;
            empty: all of it goes to the device.
        trusted: whether Python code that the checkpoint brings may run: `MMDEMO_TRUST_REMOTE_CODE` names it.
    """

    spec: ModelSpec
    folders: dict[str, Path]
    device: str
    threads: int
    cancelled: Callable[[], bool] = lambda: False
    quantization: str = "auto"
    budget: Mapping[str, int] = field(default_factory=dict)
    trusted: bool = False

    def go_on(self) -> None:
        """Go on loading, unless the user has stopped.

        Raises:
            Cancelled: they have.
        """
        if self.cancelled():
            raise Cancelled(f"Loading {self.spec.title} was stopped.")


@runtime_checkable
class Backend(Protocol):
    """A loaded checkpoint. It is used by one piece of work at a time; no two threads call it at once."""

    spec: ModelSpec
    device: str

    def close(self) -> None:
        """Free the memory."""


@runtime_checkable
class Patient(Protocol):
    """A backend that waits for something else than its own steps: it asks meanwhile whether the user has stopped."""

    def heed(self, cancelled: Callable[[], bool]) -> None:
        """Called when a piece of work begins to use it: from now on, this says whether the user has stopped."""


@dataclass(frozen=True)
class Seen:
    """What was said of a picture so far. `index` counts the pictures of the call."""

    index: int
    text: str
    labels: tuple[Label, ...] = ()
    done: bool = False


@runtime_checkable
class Describer(Protocol):
    """A model that sees."""

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        """Words as they come, for one or several pictures at once.

        Args:
            images: RGB, upright.
            style: one of `spec.styles`.
            question: answered instead of describing, by a model whose spec says `answers`; else empty.
        """


@runtime_checkable
class Talker(Protocol):
    """A language model."""

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """Pieces of the answer as they come, to `role`/`content` messages."""


@runtime_checkable
class Embedder(Protocol):
    """A text encoder."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length 1 for each text, (texts, width); their dot products are cosine similarities."""


@dataclass(frozen=True)
class Clip:
    """A stretch of speech to transcribe, at most 30 s; `source` counts the files of the call."""

    samples: Audio
    start: float = 0.0
    """Seconds from the start of its file."""
    source: int = 0


@dataclass(frozen=True)
class Hearing:
    """How to listen.

    Attributes:
        language: an ISO 639-1 code, or empty to detect it.
        translate: into English, where the model can.
        words: with times for each word.
        beams: beam width; 1 is greedy.
        prompt: names and terms to expect.
    """

    language: str = ""
    translate: bool = False
    words: bool = False
    beams: int = 1
    prompt: str = ""


@dataclass(frozen=True)
class Heard:
    """One segment, in seconds from the start of its file, and what the model takes the language to be."""

    segment: Segment
    source: int = 0
    language: str = ""
    language_probability: float = 0.0


@runtime_checkable
class Transcriber(Protocol):
    """A model that hears."""

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        """Segments of all clips, in the clips' order; a clip without words yields none. Clips run in batches."""
