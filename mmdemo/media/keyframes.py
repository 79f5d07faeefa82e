"""Which frame stands for a shot: near its middle, sharp, neither black nor blank."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from mmdemo.media.frames import Frame, Pixels

KEPT = 8
"""Candidates in memory at most."""
LONGEST = 1280
"""Pixels of a keyframe's longest side."""
SPACING = 0.2
"""Seconds between the first candidates."""


@dataclass(frozen=True)
class _Candidate:
    time: float
    pixels: Pixels
    detail: float


class Candidates:
    """A few frames spread evenly over a shot whose length is not known yet.

    When `KEPT` are there, every other one is dropped and the spacing doubles, so that their number stays small and
    they still cover all of it.
    """

    def __init__(self) -> None:
        self._kept: list[_Candidate] = []
        self._spacing = SPACING

    def add(self, frame: Frame) -> None:
        """Keep `frame` if it is far enough from the one before."""
        if self._kept and frame.time - self._kept[-1].time < self._spacing:
            return
        if len(self._kept) == KEPT:
            self._kept = self._kept[::2]
            self._spacing *= 2
            if frame.time - self._kept[-1].time < self._spacing:
                return
        self._kept.append(_Candidate(frame.time, fitted(frame.full()), _detail(frame.small)))

    def best(self, middle: float) -> Image.Image:
        """The candidate with the most detail among those in the middle half; RGB.

        A candidate loses half of its detail on the way from the middle to the ends.
        """
        first, last = self._kept[0].time, self._kept[-1].time
        reach = max(last - middle, middle - first, 1e-6)
        chosen = max(self._kept, key=lambda one: (one.detail + 1.0) * (1.0 - 0.5 * abs(one.time - middle) / reach))
        return Image.fromarray(cv2.cvtColor(chosen.pixels, cv2.COLOR_BGR2RGB))


def fitted(pixels: Pixels) -> Pixels:
    """At most `LONGEST` pixels long; a copy, so that the decoder's buffer can go."""
    height, width = pixels.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return pixels.copy()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _detail(small: Pixels) -> float:
    """How much there is to see: the standard deviation of the Laplacian (sharpness), 0 for an even frame.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000 (its variance).
    """
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())
