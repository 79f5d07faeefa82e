"""The shots of a video as a model takes them that reads frames and sound together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdemo.errors import UnreadableMedia
from mmdemo.runtime.base import RATE, Audio
from mmdemo.runtime.scenes import Scene, Watcher
from mmdemo.settings import Settings

if TYPE_CHECKING:
    from mmdemo.media.audio import Block
    from mmdemo.media.video import Shot

LONGEST = 30.0
"""Seconds of a shot's sound at most."""


class Watching:
    """One video; its shots are asked for in their order, and its sound is read once, alongside."""

    def __init__(self, path: Path, settings: Settings, model: Watcher, left: Callable[[], bool]) -> None:
        self._path, self._settings, self._model, self._left = path, settings, model, left
        self._blocks: Iterator[Block] | None = None
        self._kept: Audio = np.zeros(0, np.float32)
        self._first = 0
        """The place in the sound of the first sample that is kept."""

    def scene(self, shot: Shot) -> Scene:
        """A shot's frames and its sound, as far as the model reads them."""
        from mmdemo.media.moments import evenly, pictures_at

        frames = [shot.keyframe][: self._model.frames]
        if self._model.frames > 1:
            frames = pictures_at(self._path, evenly(shot.start, shot.end, self._model.frames), self._settings)
        return Scene(frames, self._sound(shot) if self._model.hears else None, self._left)

    def _sound(self, shot: Shot) -> Audio | None:
        """The samples of a shot; None where the video has no sound."""
        from mmdemo.media.audio import stream_audio

        first, last = round(shot.start * RATE), round(min(shot.end, shot.start + LONGEST) * RATE)
        if self._blocks is None:
            self._blocks = iter(stream_audio(self._path, self._settings))
        try:
            while self._first + len(self._kept) < last:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._kept = np.concatenate([self._kept, block.samples])
                self._forget(first)
        except UnreadableMedia:  # none, or broken from here on
            self._blocks = iter(())
        self._forget(first)
        found = self._kept[: max(0, last - self._first)]
        return found if len(found) else None

    def _forget(self, before: int) -> None:
        """Let go of the samples before a place."""
        gone = min(max(0, before - self._first), len(self._kept))
        self._kept, self._first = self._kept[gone:], self._first + gone
