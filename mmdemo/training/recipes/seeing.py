"""A row's picture, video and sound as the encoders of a chain read them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, StudioError
from mmdemo.fusion import reading
from mmdemo.media.images import open_image
from mmdemo.settings import Settings
from mmdemo.training.recipes import hearing

SIDE = 1024
"""Pixels that a picture is decoded to at most before an encoder's own size."""


def sees(row: Row) -> bool:
    """Whether a row has something to look at."""
    return row.image is not None or row.video is not None


def hears(row: Row, settings: Settings) -> bool:
    """Whether a row has something to listen to."""
    if row.audio is not None:
        return True
    return row.video is not None and _has_sound(row.video, settings)


@cache
def _has_sound(path: Path, settings: Settings) -> bool:
    from mmdemo.media.video import probe

    try:
        return probe(path, settings).has_sound
    except StudioError:
        return True  # it will be said when it is read


def values(row: Row, modality: str, config: Any, settings: Settings) -> NDArray[np.float32]:
    """What an encoder of the chain reads of a row, without the batch.

    Raises:
        InputError: it cannot be read; names the row.
    """
    if modality == "audio":
        return reading.sound(hearing.samples(row, settings), config)
    if row.image is not None:
        return reading.video([picture(row, settings, SIDE // 2)], config)
    from mmdemo.media.moments import evenly, pictures_at
    from mmdemo.media.video import probe

    assert row.video is not None
    try:
        info = probe(row.video, settings)
        if not info.has_picture:
            raise InputError(f"{row.video.name} has no picture: choose a video.")
        end = min(info.seconds, info.seconds if row.end is None else row.end)
        images = pictures_at(row.video, evenly(row.start, end, config.frames), settings)
    except StudioError as error:
        raise InputError(f"What {row.origin} names cannot be used: {error}") from error
    return reading.video(images, config)


def picture(row: Row, settings: Settings, side: int) -> Any:
    """The picture of a row, decoded no larger than needed for a square of `side` pixels.

    Raises:
        InputError: it cannot be read; names the row.
    """
    assert row.image is not None
    try:
        return open_image(row.image, settings, fit=2 * side)
    except StudioError as error:
        raise InputError(f"What {row.origin} names cannot be used: {error}") from error
