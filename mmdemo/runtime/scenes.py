"""What a model is given that watches: scenes of a video, frames and sound together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from PIL import Image

from mmdemo.runtime.base import Audio, Seen


@dataclass(frozen=True)
class Scene:
    """A stretch of video: frames of it, evenly spaced, RGB and upright, and its sound; empty or None for none.

    `left`: whether who asked has left meanwhile, so that nobody wants the rest of the answer.
    """

    frames: Sequence[Image.Image]
    samples: Audio | None = None
    left: Callable[[], bool] = field(default=lambda: False, compare=False)


@runtime_checkable
class Watcher(Protocol):
    """A model that takes several frames of a scene and its sound together.

    Attributes:
        frames: how many frames of a scene it reads; 0: it sees nothing.
        hears: whether it reads the sound.
    """

    frames: int
    hears: bool

    def watch(self, scenes: Sequence[Scene], *, max_words: int) -> Iterator[Seen]:
        """Words as they come, for several scenes at once; `Seen.index` counts the scenes."""
