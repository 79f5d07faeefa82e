"""A row's recording as samples, and as what Whisper's encoder reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError, StudioError
from mmdemo.media.audio import RATE, Audio, header_seconds, stream_audio
from mmdemo.settings import Settings

LONGEST = 30.0
"""Seconds that Whisper hears at once."""


def heard(row: Row, settings: Settings) -> float:
    """How many seconds of a row are heard."""
    path = row.audio or row.video
    end = row.end if row.end is not None or path is None else header_seconds(path, settings)
    return LONGEST if end is None else min(LONGEST, max(0.0, end - row.start))


def samples(row: Row, settings: Settings) -> Audio:
    """The row's part of its recording, 16 kHz mono, at most half a minute: what is after that is not heard.

    Raises:
        InputError: it cannot be read; names the row.
    """
    path = row.audio or row.video
    if path is None:
        raise InputError(f"{row.origin} has no recording.")
    end = min(row.end if row.end is not None else row.start + LONGEST, row.start + LONGEST)
    try:
        pieces = [piece for piece in _between(path, settings, row.start, end)]
    except StudioError as error:
        raise InputError(f"What {row.origin} names cannot be used: {error}") from error
    return np.concatenate(pieces) if pieces else np.zeros(RATE // 10, np.float32)


def _between(path: Any, settings: Settings, start: float, end: float) -> Iterator[Audio]:
    first, last = round(start * RATE), round(end * RATE)
    place = 0
    for block in stream_audio(path, settings):
        yield block.samples[max(0, first - place) : max(0, last - place)]
        place += len(block.samples)
        if place >= last:
            return


def spectra(rows: Sequence[Row], extractor: Any, settings: Settings) -> NDArray[np.float32]:
    """Log-mel spectra as Whisper's encoder reads them, (rows, bins, 3000): half a minute each, padded with silence."""
    sounds = [samples(row, settings) for row in rows]
    made: NDArray[np.float32] = extractor(sounds, sampling_rate=RATE, return_tensors="np")["input_features"]
    return made
