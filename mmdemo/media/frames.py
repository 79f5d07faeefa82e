"""Frames of a video, one after the other, through OpenCV; each decoded once, most of them only in small."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmdemo.media.containers import ALLOWED

SMALL = 192
"""Pixels of the longest side that cuts are looked for on."""
LOOKS = 24.0
"""Frames a second that are looked at; those between are decoded (later ones need them) but not converted.

Half of it saves a third of the time and takes fast pans for cuts, for which the detector's threshold is not made.
"""

Pixels = NDArray[np.uint8]
"""(height, width, 3), blue, green, red."""


@dataclass(frozen=True)
class Frame:
    """One frame that is looked at.

    Attributes:
        time: seconds at which it is shown first, by its own timestamp.
        end: seconds at which the next frame is expected.
        rate: mean frames a second of the video.
        small: at most `SMALL` pixels long.
        full: the whole frame, upright.
    """

    time: float
    end: float
    rate: float
    small: Pixels
    full: Callable[[], Pixels]


def frames(path: Path, rate: float, offset: float = 0.0) -> Iterator[Frame]:
    """About `LOOKS` frames a second of the video, and always its first; upright. None if nothing can be read.

    Args:
        rate: mean frames a second, 0 if unknown.
        offset: seconds at which the picture begins; OpenCV counts from there.
    """
    capture = opened(path)
    rate = rate if 0 < rate < 1000 else 25.0
    time = offset - 1 / rate
    looked = -float("inf")
    last: Frame | None = None
    try:
        while capture.grab():
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + offset
            # A container without timestamps, or a broken one, repeats or goes back: count on from the frame before.
            time = stamp if stamp > time else time + 1 / rate
            if time - looked < 1 / LOOKS - 0.75 / rate:
                continue
            if last is not None:
                yield last
            looked = time
            ok, pixels = capture.retrieve()
            last = _frame(time, rate, pixels) if ok else None
        if last is not None:
            yield Frame(last.time, max(last.end, time + 1 / rate), last.rate, last.small, last.full)
    finally:
        capture.release()


def opened(path: Path) -> cv2.VideoCapture:
    """The file in OpenCV's FFmpeg, held to what `containers.open_media` may open: no playlist, no address."""
    # OpenCV has no argument for FFmpeg's options: it reads this variable each time it opens a file.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(f"{name};{value}" for name, value in ALLOWED.items())
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _frame(time: float, rate: float, pixels: Pixels) -> Frame:
    height, width = pixels.shape[:2]
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Linear from every few pixels: ten times faster than area averaging, and noise is not what cuts are judged by.
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return Frame(time, time + 1 / rate, rate, small, lambda: pixels)
