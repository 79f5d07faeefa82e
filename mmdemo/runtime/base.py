"""What a backend is: a loaded checkpoint that can do one or more things. One file per engine in `backends/`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
        trusted: whether Python code that the checkpoint brings may run (see `trusted_code`).
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

    def heeding(self, cancelled: Callable[[], bool]) -> Any:
        """The same backend as one request uses it, which `cancelled` says to have been stopped."""


@dataclass(frozen=True)
class Seen:
    """What was said of a picture so far.

    Attributes:
        index: counts the pictures of the call.
        from_labels: the sentence is made of the labels, because the picture is unlike those the model learned from.
    """

    index: int
    text: str
    labels: tuple[Label, ...] = ()
    done: bool = False
    from_labels: bool = False


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


@dataclass(frozen=True)
class Ask:
    """One picture, RGB and upright, and what is wanted of it; as `Describer.describe` takes them.

    `left`: whether who asked has left meanwhile, so that nobody wants the rest of the answer. `adapter`: the folder of
    an adapter to answer with, for an `Adaptable` model; all pictures that are looked at together have the same.
    """

    image: Image.Image
    style: str = "sentence"
    question: str = ""
    max_words: int = 60
    left: Callable[[], bool] = lambda: False
    adapter: str = ""


@runtime_checkable
class Answerer(Protocol):
    """A `Describer` that looks at the pictures of several people at once, each with a wish of its own."""

    def answer(self, asks: Sequence[Ask]) -> Iterator[Seen]:
        """As `Describer.describe`: words as they come, of all pictures together. It says of each what it says alone."""


@runtime_checkable
class Multimodal(Protocol):
    """A model that looks and listens at once."""

    def reply(
        self,
        question: str,
        *,
        images: Sequence[Image.Image] = (),
        sounds: Sequence[Audio] = (),
        frames: Sequence[Image.Image] = (),
        seconds: float = 0.0,
        max_words: int = 60,
    ) -> Iterator[str]:
        """Pieces of the answer as they come, to a question about all that is given.

        Args:
            images: RGB, upright.
            frames: of one video, evenly spaced over its `seconds`.
        """


@runtime_checkable
class Talker(Protocol):
    """A language model."""

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        """Pieces of the answer as they come, to `role`/`content` messages."""


@dataclass(frozen=True)
class Spoken:
    """Speech that was made: mono samples from −1 to 1, (samples,), and how many of them a second has."""

    samples: NDArray[np.float32]
    rate: int


@runtime_checkable
class Speaker(Protocol):
    """A model that speaks."""

    voices: int
    """How many voices it has, 1 or more."""

    def speak(self, text: str, *, speed: float = 1.0, voice: int = 0, seed: int = 0) -> Spoken:
        """The text as sound, made at once: a sentence or a few.

        Args:
            speed: times as fast as the model speaks by itself.
            voice: a number from 0, less than `voices`.
            seed: the same one speaks the same way.
        """


@dataclass(frozen=True)
class Talk:
    """One conversation to go on with, as `Talker.talk` takes it; `left` and `adapter` as in `Ask`."""

    messages: Sequence[dict[str, str]]
    max_tokens: int
    left: Callable[[], bool] = lambda: False
    adapter: str = ""


@runtime_checkable
class Converser(Protocol):
    """A `Talker` that goes on with several conversations at once."""

    def converse(self, talks: Sequence[Talk]) -> Generator[tuple[int, str], None, None]:
        """Pieces of the answers as they come, each with the place of its conversation."""


@runtime_checkable
class Adaptable(Protocol):
    """A model that answers with adapters: small sets of weights beside its own, each in a folder."""

    def adapt(self, folder: str) -> None:
        """Read the adapter in a folder, unless that has been done, and answer with it; empty: without one.

        Raises:
            WeightsError: there is none, or it cannot be read.
            Unsupported: it is of another kind, or for another model.
        """


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
        left: whether who asked has left meanwhile, so that nobody wants the rest.
    """

    language: str = ""
    translate: bool = False
    words: bool = False
    beams: int = 1
    prompt: str = ""
    left: Callable[[], bool] = field(default=lambda: False, compare=False)

    def go_on(self) -> None:
        """For an engine to call between two steps.

        Raises:
            Cancelled: who asked has left.
        """
        if self.left():
            raise Cancelled("Stopped.")


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
