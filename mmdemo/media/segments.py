"""A picture cut into what stands in front and what is behind it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LARGEST = 256
"""Pixels of the longest side that it is cut at: enough to see, and a fraction of a second."""
EDGE = 0.08
"""How much of each side is taken for background at first."""
ROUNDS = 4


def segments(picture: NDArray[np.uint8]) -> NDArray[np.int32]:
    """0 where the background is, 1 for what stands before it; (height, width) as the picture's.

    GrabCut (Rother et al., SIGGRAPH 2004): colours of both are learned in turns with a cut that follows edges; at first
    the middle of the picture stands in front. Where that finds nothing, all is background.

    Args:
        picture: (height, width, 3), RGB.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, LARGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    left, top = max(1, round(size[0] * EDGE)), max(1, round(size[1] * EDGE))
    inside = (left, top, size[0] - 2 * left, size[1] - 2 * top)
    if min(inside[2:]) < 2 or np.ptp(small.reshape(-1, 3), axis=0).max() == 0:  # nothing to tell apart
        return np.zeros((height, width), np.int32)
    mask = np.zeros(size[::-1], np.uint8)
    cv2.setRNGSeed(0)  # its clusters begin at random
    cv2.grabCut(small, mask, inside, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_RECT)
    front = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.int32)
    return np.asarray(cv2.resize(front, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.int32)
