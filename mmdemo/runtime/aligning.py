"""What an engine is that puts files and sentences into one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Aligner(Protocol):
    """A model of two towers, with one space for files and sentences."""

    hears: bool
    """Whether its files are recordings; else they are pictures."""

    def place_media(self, media: Sequence[Any]) -> NDArray[np.float32]:
        """Pictures, RGB, or `base.Audio` → (files, size), of length 1."""

    def place_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, size), of length 1; dot products with `place_media` say what belongs together."""
