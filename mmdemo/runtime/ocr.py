"""The words in a picture, by RapidOCR, whose wheel carries its models.

It is no row of the catalog: nobody fetches it, chooses it or removes it. What it takes counts as used memory, and the
manager unloads it first when something else needs the room (docs/decisions/0007-counted-and-kept.md).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

LONGEST_SIDE = 960
"""Larger pictures are scaled down for reading: twice the side costs four times the time."""
CERTAIN = 0.6
"""Lines that the recogniser gives a lower score are left out; textures read as words score below."""
KEPT = 1000
"""Pictures whose words are remembered."""
_read: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()


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
    """The lines of text in an RGB picture, from top to bottom; none for a picture without text.

    A picture that was read lately is not read again.
    """
    pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]  # the models were trained on BGR
    pixels = np.ascontiguousarray(pixels)
    key = hashlib.sha256(str(pixels.shape).encode() + pixels.data).digest()
    lines = _read.get(key)
    if lines is None:
        result = _engine()(pixels)
        lines = tuple(line.strip() for line in result.txts or () if line.strip())
    _read[key] = lines
    _read.move_to_end(key)
    while len(_read) > KEPT:
        _read.popitem(last=False)
    return lines


def unload() -> bool:
    """Free its models, which the next picture loads again; whether they were loaded."""
    loaded = _engine.cache_info().currsize > 0
    _engine.cache_clear()
    return loaded
