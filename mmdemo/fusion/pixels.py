"""Pictures as the encoder's input. Needs no torch, so that a description can start at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(
    images: Iterable[Image.Image], size: int | tuple[int, int], mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """RGB pictures, squashed to a square or to (height, width) and normalised: (batch, 3, height, width).

    The aspect ratio is not kept: the pictures the starter learned from were squashed too.

    Args:
        mean, std: per channel, for values from 0 to 1.
    """
    height, width = (size, size) if isinstance(size, int) else size
    batch = np.stack(
        [np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)) for image in images]
    )
    scaled = (batch - np.asarray(mean, np.float32) * 255) / (np.asarray(std, np.float32) * 255)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)


def colours(values: NDArray[np.float32], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.uint8]:
    """What `pixels` made, (…, 3, height, width), as colours again: (…, height, width, 3)."""
    spread = np.moveaxis(values, -3, -1) * np.asarray(std, np.float32) + np.asarray(mean, np.float32)
    return np.clip(spread * 255, 0, 255).round().astype(np.uint8)
