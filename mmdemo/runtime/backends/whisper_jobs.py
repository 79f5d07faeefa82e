"""Clips on their way through Whisper: how much the encoder is shown of each, which run together, which to doubt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdemo.runtime.backends import whisper_text
from mmdemo.runtime.base import RATE, Clip, Hearing

WINDOWS = (8, 12, 16, 20, 24, 30)
"""Seconds of audio the encoder is given; the last is what the model was trained on."""
MARGIN = 3.0
"""Seconds of silence that a window shorter than the full one has after the clip, or the model repeats itself."""
LATE = 1.0
"""Seconds after the clip's end that a time token may name."""
LOOK = 0.005
"""Seconds between two looks at whether a batch is written."""

BEFORE, AFTER = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word after it, and to the word before it."""
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


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


def reference(tokenizer: Any, hearing: Hearing) -> Any:
    """How faster-whisper itself would listen, which is asked where a text is to be doubted."""
    from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

    return TranscriptionOptions(
        beam_size=hearing.beams,
        best_of=5,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        log_prob_threshold=whisper_text.TOO_UNSURE,
        no_speech_threshold=whisper_text.NOBODY,
        compression_ratio_threshold=whisper_text.TOO_REPETITIVE,
        condition_on_previous_text=False,
        prompt_reset_on_temperature=0.5,
        temperatures=list(TEMPERATURES),
        initial_prompt=None,
        prefix=None,
        suppress_blank=True,
        suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        without_timestamps=False,
        max_initial_timestamp=1.0,
        word_timestamps=False,
        prepend_punctuations=BEFORE,
        append_punctuations=AFTER,
        multilingual=False,
        max_new_tokens=None,
        clip_timestamps="0",
        hallucination_silence_threshold=None,
        hotwords=None,
    )


class Leaving:
    """A CTranslate2 Whisper whose `generate` can be left: many clips take longer than one likes to wait.

    The library cannot stop in between. What was left is written to its end on the library's own thread, where the next
    batch waits for it; nobody gets it.
    """

    def __init__(self, model: Any, go_on: Callable[[], None]) -> None:
        """`go_on` raises when who asked has left."""
        self._model, self._go_on = model, go_on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, features: Any, prompts: Any, **options: Any) -> list[Any]:
        """As the model's own; raises what `go_on` raises, within moments."""
        results = self._model.generate(features, prompts, asynchronous=True, **options)
        while not all(result.done() for result in results):
            self._go_on()
            time.sleep(LOOK)
        return [result.result() for result in results]
