"""When in a sound CTranslate2's Whisper heard each word of what it wrote, and what it would write of silence.

Cross-attention of the heads that follow the sound, brought into order by dynamic time warping, says which tokens stand
at which 20 ms (openai/whisper, `timing.py`); CTranslate2 has no gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmdemo.errors import InputError
from mmdemo.results import Reason
from mmdemo.runtime.backends import spoken
from mmdemo.runtime.backends.whisper_jobs import Job, storage

FRAMES = 100
"""Spectrogram frames a second; a position of the encoder is two of them."""
MOST = 200
"""Tokens of an answer that are explained: Whisper writes at most 224 in a window."""


def explained(model: Any, tokenizer: Any, job: Job, silence: Job, answer: str) -> tuple[tuple[Reason, ...], list[str]]:
    """The reasons for each word of an answer, and its tokens.

    Args:
        model: of CTranslate2.
        tokenizer: faster-whisper's, for the language that is spoken.
        job, silence: the sound, and as much silence, both encoded.

    Raises:
        InputError: the answer has no words or too many.
    """
    text = f" {answer.strip()}"
    encoding = tokenizer.tokenizer.encode(text, add_special_tokens=False)
    if not answer.strip():
        raise InputError("The answer has no words: give what the model said.")
    if len(encoding.ids) > MOST:
        raise InputError(f"The answer has {len(encoding.ids):,} tokens and at most {MOST} are explained: shorten it.")
    frames = max(2, int(job.seconds * FRAMES))
    found, blank = (
        model.align(storage([one]), tokenizer.sot_sequence, [encoding.ids], frames, median_filter_width=7)[0]
        for one in (job, silence)
    )
    logs, without = (np.log(np.maximum(one.text_token_probs, 1e-30)).astype(np.float32) for one in (found, blank))
    times = np.zeros((len(encoding.ids), max(1, frames // 2)), np.float32)
    for token, time in found.alignments:
        if token < len(times) and time < times.shape[1]:
            times[token, time] = 1.0
    made = []
    for word, own in spoken.words(text, encoding.offsets):
        line = times[own].sum(0)
        looked = (line / line.sum() if line.any() else np.full_like(line, 1 / len(line)))[None, None]
        made.append(spoken.reason(word, own, logs, {"audio": looked}, {"audio": without}))
    return tuple(made), [text[start:end] for start, end in encoding.offsets]
