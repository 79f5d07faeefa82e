"""When in a sound CTranslate2's Whisper heard each word of what it wrote, and what it would write of silence.

Cross-attention of the heads that follow the sound, brought into order by dynamic time warping, says which tokens stand
at which 20 ms (openai/whisper, `timing.py`); CTranslate2 has no gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmdemo.results import Reason
from mmdemo.runtime.backends import spoken
from mmdemo.runtime.backends.whisper_jobs import Job, storage

FRAMES = 100
"""Spectrogram frames a second; a position of the encoder is two of them."""
SPACE = "Ġ"
"""How a byte-level vocabulary writes a space."""
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
    ids, offsets = tokens(tokenizer.tokenizer, text)
    spoken.check(answer, len(ids), MOST)
    frames = max(2, int(job.seconds * FRAMES))
    found, blank = (
        model.align(storage([one]), tokenizer.sot_sequence, [ids], frames, median_filter_width=7)[0]
        for one in (job, silence)
    )
    logs, without = (np.log(np.maximum(one.text_token_probs, 1e-30)).astype(np.float32) for one in (found, blank))
    times = np.zeros((len(ids), max(1, frames // 2)), np.float32)
    for token, time in found.alignments:
        if token < len(times) and time < times.shape[1]:
            times[token, time] = 1.0
    made = []
    for word, own in spoken.words(text, offsets):
        line = times[own].sum(0)
        looked = (line / line.sum() if line.any() else np.full_like(line, 1 / len(line)))[None, None]
        made.append(spoken.reason(word, own, logs, {"audio": looked}, {"audio": without}))
    return tuple(made), [text[start:end] for start, end in offsets]


def tokens(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Tokens of a text as Whisper writes them, and where they stand in it.

    Published tokenizer files lack the first merge, a space and a t, and would write " the" as two tokens, which Whisper
    never does: they are joined again.

    Args:
        tokenizer: of the library `tokenizers`.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ids: list[int] = []
    offsets: list[tuple[int, int]] = []
    space: tuple[int, tuple[int, int]] | None = None
    for number, piece, span in zip(encoding.ids, encoding.tokens, encoding.offsets, strict=True):
        joined = tokenizer.token_to_id(SPACE + piece) if space else None
        if space and joined is None:
            ids.append(space[0])
            offsets.append(space[1])
        begin = space[1][0] if space and joined is not None else span[0]
        space = (number, span) if piece == SPACE else None
        if space is None:
            ids.append(number if joined is None else joined)
            offsets.append((begin, span[1]))
    if space:
        ids.append(space[0])
        offsets.append(space[1])
    return ids, offsets
