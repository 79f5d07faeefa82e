"""Clips on their way through Whisper: how much the encoder is shown of each, which run together, which to doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.runtime.backends import whisper_text
from mmdemo.runtime.base import RATE, Clip

WINDOWS = (8, 12, 16, 20, 24, 30)
"""Seconds of audio the encoder is given; the last is what the model was trained on."""
MARGIN = 3.0
"""Seconds of silence that a window shorter than the full one has after the clip, or the model repeats itself."""
LATE = 1.0
"""Seconds after the clip's end that a time token may name."""


@dataclass
class Job:
    """A clip, or the rest of one, on its way through the model."""

    clip: Clip
    index: int
    window: int
    encoded: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return len(self.clip.samples) / RATE


def window(seconds: float) -> int:
    """The shortest window that gives a clip of `seconds` its margin."""
    return next((size for size in WINDOWS if size >= seconds + MARGIN), WINDOWS[-1])


def batches(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Jobs of the same window together."""
    for _, group in groupby(sorted(jobs, key=lambda job: (job.window, job.index)), key=lambda job: job.window):
        yield list(group)


def storage(jobs: Sequence[Job]) -> Any:
    """The encoder states of jobs of one window, as CTranslate2 takes them."""
    from ctranslate2 import StorageView

    return StorageView.from_array(np.stack([job.encoded for job in jobs]))


def silent(nobody: float, sure: float) -> bool:
    """Whether the model itself doubts that anybody spoke."""
    return nobody > whisper_text.NOBODY and sure < whisper_text.TOO_UNSURE


def suspicious(tokens: Sequence[int], tokenizer: Any, sure: float, job: Job, limit: int) -> bool:
    """Whether a text is to be doubted: unsure, repeated, cut off, or said after the clip's end."""
    return (
        sure < whisper_text.TOO_UNSURE
        or len(tokens) >= limit
        or whisper_text.repetitiveness(tokenizer.decode(list(tokens))) > whisper_text.TOO_REPETITIVE
        or whisper_text.latest(tokens, tokenizer.timestamp_begin) > job.seconds + LATE
    )
