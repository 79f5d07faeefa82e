"""An answer as words: which tokens each is made of, whatever its tokenizer takes for a word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import InputError
from mmdemo.results import Reason

Floats = NDArray[np.float32]
WORDS = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|\w+(?:['’\-]\w+)*|[^\w\s]+")
"""A character of a script without spaces; a word; punctuation."""


def words(answer: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[str, list[int]]]:
    """The words of an answer, and of each the places of its tokens.

    A token of several words counts for the first, one of spaces alone for the word after it.

    Args:
        offsets: of each token, where it begins and ends in the answer, in characters.
    """
    found = list(WORDS.finditer(answer))
    owners: list[list[int]] = [[] for _ in found]
    for place, (start, _) in enumerate(offsets):
        later = [number for number, one in enumerate(found) if one.end() > start]
        if found:
            owners[later[0] if later else -1].append(place)
    return [(one.group(), own) for one, own in zip(found, owners, strict=True) if own]


def reason(
    text: str, own: Sequence[int], logs: Floats, looked: Mapping[str, Floats], without: Mapping[str, Floats]
) -> Reason:
    """A word of several tokens.

    Args:
        own: places of its tokens.
        logs: (tokens,): logarithm of each token's probability.
        looked: by modality, as in `Reason`.
        without: by modality, (tokens,): `logs` of a model that is not given the modality.
    """
    left = {name: float(np.exp(values[list(own)].sum())) for name, values in without.items()}
    return Reason(text, float(np.exp(logs[list(own)].sum())), looked, left)


def check(answer: str, tokens: int, most: int) -> None:
    """Nothing, if an answer can be explained.

    Raises:
        InputError: it has no words, or more than `most` tokens.
    """
    if not answer.strip():
        raise InputError("The answer has no words: give what the model said.")
    if tokens > most:
        raise InputError(f"The answer has {tokens:,} tokens and at most {most} are explained: shorten it.")
