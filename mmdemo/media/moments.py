"""Pictures of a video at given moments, and a stretch of its sound: a look, not all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.errors import UnreadableMedia
from mmdemo.media.audio import RATE, stream_audio
from mmdemo.media.frames import opened
from mmdemo.media.keyframes import fitted
from mmdemo.media.video import probe
from mmdemo.settings import Settings


def evenly(start: float, end: float, count: int) -> tuple[float, ...]:
    """The middles of `count` equal parts of a stretch, in seconds."""
    return tuple(start + (end - start) * (place + 0.5) / count for place in range(count))


def pictures_at(path: Path, times: Sequence[float], settings: Settings) -> list[Image.Image]:
    """The frame that is shown at each of `times`, in seconds from the start: RGB, upright, as long as a keyframe.

    Raises:
        UnreadableMedia: no video, no picture in it, or no frame that can be read.
        TooLarge: see `video.probe`.
    """
    begin = probe(path, settings).begin  # OpenCV counts from there
    capture = opened(path)
    found: list[Image.Image] = []
    try:
        for time in times:
            capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * max(0.0, time - begin))
            ok, pixels = capture.read()
            if ok:
                found.append(Image.fromarray(cv2.cvtColor(fitted(pixels), cv2.COLOR_BGR2RGB)))
            elif found:  # past the last frame, or a broken tail
                found.append(found[-1])
    finally:
        capture.release()
    if not found:
        raise UnreadableMedia(f"{path.name} has no frame that can be read: save or download it again.")
    return [found[0]] * (len(times) - len(found)) + found


def sound_of(path: Path, settings: Settings, start: float, end: float) -> NDArray[np.float32]:
    """A stretch of a recording or video, 16 kHz mono, (samples,); shorter where it ends before, empty behind the end.

    Raises:
        UnreadableMedia, TooLarge: as `stream_audio`.
    """
    pieces = []
    for block in stream_audio(path, settings):
        if block.start >= end:
            break
        first, last = (round((moment - block.start) * RATE) for moment in (start, end))
        pieces.append(block.samples[max(0, first) : max(0, last)])
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
