"""What a model that classifies is, and the words of a text that a tagger names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mmdemo.results import Entity, Label

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:['’-][^\W{UNSPACED}]+)*|[^\w\s]")
"""A word with its hyphens and apostrophes, a sign, or a letter of a language without spaces."""


@dataclass(frozen=True)
class Found:
    """What was said of one input: its classes, the likeliest first, or what is named in a text."""

    labels: tuple[Label, ...] = ()
    entities: tuple[Entity, ...] = ()


PAIRS = "image-text"
"""What a model takes that reads a text with its picture."""


@dataclass(frozen=True)
class Pair:
    """A text and an RGB picture, or a text alone."""

    text: str
    image: Any = None


@runtime_checkable
class Classifier(Protocol):
    """A model that classifies.

    Attributes:
        takes: what its inputs are: `text`; `image`: RGB pictures; `audio`: mono samples at 16 kHz;
            `PAIRS`: a `Pair` each.
    """

    takes: str

    def classify(self, inputs: Sequence[Any]) -> list[Found]:
        """What each of a batch is."""


def words(text: str) -> list[tuple[int, int]]:
    """Where each word of a text begins and ends, in characters."""
    return [found.span() for found in WORD.finditer(text)]


def entities(text: str, tags: Sequence[tuple[int, int, str, float]]) -> tuple[Entity, ...]:
    """Entities of words' BIO tags; an `I-` that follows none of its kind begins one, as seqeval counts.

    Args:
        tags: of each word where it begins and ends, its tag and that tag's probability.

    Returns:
        The probability of an entity is the least of its words'.
    """
    found: list[Entity] = []
    going = ""
    for start, end, tag, sure in tags:
        prefix, _, kind = tag.partition("-")
        if not kind:
            going = ""
        elif prefix == "I" and going == kind:
            last = found.pop()
            found.append(Entity(text[last.start : end], kind, last.start, end, min(last.probability, sure)))
        else:
            found.append(Entity(text[start:end], kind, start, end, sure))
            going = kind
    return tuple(found)
