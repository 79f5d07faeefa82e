"""The words in a picture, by RapidOCR, whose wheel carries its models.

It is no row of the catalog: nobody fetches it, chooses it or removes it. What it takes counts as used memory, and the
manager unloads it first when something else needs the room (docs/decisions/0007-counted-and-kept.md).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from PIL import Image

LONGEST_SIDE = 960
"""Larger pictures are scaled down for reading: twice the side costs four times the time."""
CERTAIN = 0.6
"""Lines that the recogniser gives a lower score are left out; textures read as words score below."""


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": CERTAIN,
            "Global.max_side_len": LONGEST_SIDE,
            "Det.limit_type": "max",  # the default enlarges small pictures, for no more text and four times the time
            "Det.limit_side_len": LONGEST_SIDE,
        }
    )


def read_text(image: Image.Image) -> tuple[str, ...]:
    """The lines of text in an RGB picture, from top to bottom; none for a picture without text."""
    pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]  # the models were trained on BGR
    result = _engine()(np.ascontiguousarray(pixels))
    return tuple(line.strip() for line in result.txts or () if line.strip())


def unload() -> bool:
    """Free its models, which the next picture loads again; whether they were loaded."""
    loaded = _engine.cache_info().currsize > 0
    _engine.cache_clear()
    return loaded
