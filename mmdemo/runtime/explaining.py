"""What an engine can say about an answer: why each word, and what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from mmdemo.results import Reason, Sights
from mmdemo.runtime.base import Audio


@dataclass(frozen=True, eq=False)
class Given:
    """All that one answer is about; nothing of what the model has no encoder for.

    Attributes:
        frames: RGB, upright: one picture, or several of a video in order of time.
        sound: what is heard, or None.
        text: what is read beside it: a question.
        style: what was asked for, where nothing was asked; see `catalog.STYLES`.
        adapter: the folder of an adapter that it was said with; empty: none.
    """

    frames: Sequence[Image.Image] = ()
    sound: Audio | None = None
    text: str = ""
    style: str = "sentence"
    adapter: str = ""


@dataclass(frozen=True, eq=False)
class Explained:
    """Why a model said `answer`, word by word, and what it was given to say it.

    `from_labels`: the answer is made of labels; shown is where in the picture these come from.
    """

    answer: str
    reasons: tuple[Reason, ...]
    sights: Sights
    from_labels: bool = False


@runtime_checkable
class Explainer(Protocol):
    """A model that can say why it said what it said."""

    def needs(self) -> Mapping[str, int]:
        """By modality (`vision`, `audio`, `text`), how much it reads: so many frames, seconds, or 1."""

    def explain(self, given: Sequence[Given], answer: str) -> Iterator[Explained]:
        """Explain an answer to each of what is given; an empty one: what it says now.

        Raises:
            InputError: the answer is longer than the model could have written it.
        """
