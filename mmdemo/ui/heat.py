"""Arrays as small pictures inside the page: heat maps to lie over a picture, segments, spectrograms."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Numbers = NDArray[np.float32]
COLD, HOT = (255, 214, 64), (214, 32, 24)
"""From what counts a little to what counts most; where nothing counts the map is clear."""
STRONGEST = 0.78
"""How opaque the strongest place is: what lies under it can still be seen."""
SIDE = 96
"""Pixels of the longer side of a heat map; the browser stretches it over the picture."""
WIDE, HIGH = 640, 120
"""Pixels of a spectrogram."""


def heat(weights: Numbers, most: float) -> str:
    """A map, (rows, columns), as a PNG that lies over what it is about.

    Args:
        most: the weight that is shown strongest; the same for all maps that are compared.
    """
    level = np.clip(weights / max(most, 1e-12), 0, 1)
    rows, columns = level.shape
    scale = SIDE / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)) if rows > 1 else 1)
    wide = np.asarray(Image.fromarray((level * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)) / 255.0
    colour = np.array(COLD) + (np.array(HOT) - np.array(COLD)) * wide[..., None]
    layers = np.dstack([colour, 255 * STRONGEST * np.sqrt(wide)])
    return png(Image.fromarray(layers.round().astype(np.uint8)))


def front(picture: NDArray[np.uint8], segments: NDArray[np.int32]) -> str:
    """A picture whose background, segment 0, is pale."""
    pale = 255 - (255 - picture.astype(np.float32)) * 0.22
    shown = np.where((segments > 0)[..., None], picture, pale)
    return jpeg(Image.fromarray(shown.astype(np.uint8)))


def spectrogram(mel: Numbers) -> str:
    """A log-mel spectrogram, (bands, frames): low notes below, loud is dark."""
    low, high = float(mel.min()), float(mel.max())
    level = 255 - (mel[::-1] - low) / max(high - low, 1e-6) * 255
    return jpeg(Image.fromarray(level.astype(np.uint8)).resize((WIDE, HIGH), Image.Resampling.BILINEAR))


def picture(pixels: NDArray[np.uint8]) -> str:
    """A picture, (height, width, 3)."""
    return jpeg(Image.fromarray(pixels))


def png(image: Image.Image) -> str:
    """A picture with its transparency as a data address."""
    return _address(image, "png")


def jpeg(image: Image.Image) -> str:
    """A picture as a data address."""
    return _address(image, "jpeg", quality=84)


def _address(image: Image.Image, form: str, **how: int) -> str:
    data = io.BytesIO()
    image.save(data, form, **how)
    return f"data:image/{form};base64,{base64.b64encode(data.getvalue()).decode()}"
