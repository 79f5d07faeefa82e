"""Sound as an encoder's input."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second that every speech encoder here reads."""
WINDOW = 400
"""Samples of a window, 25 ms."""


def log_mel(samples: NDArray[np.float32], bands: int = 80, frames: int = 3000, hop: int = 160) -> NDArray[np.float32]:
    """A log-mel spectrogram as Whisper computes it (arXiv:2212.04356, section 2.2), (bands, frames) in float32.

    Windows of 25 ms; powers below the loudest by more than 8 powers of ten are cut off; then (log₁₀ + 4) / 4. Shorter
    sound is followed by silence, longer sound is cut.

    Args:
        samples: mono, 16 kHz, from −1 to 1.
        hop: samples from one frame to the next; Whisper's is 160, 10 ms.
    """
    from transformers.audio_utils import spectrogram, window_function

    whole = np.zeros(frames * hop, np.float32)
    kept = samples[: len(whole)]
    whole[: len(kept)] = kept
    powers = spectrogram(
        whole, window_function(WINDOW, "hann"), WINDOW, hop, power=2.0, mel_filters=_filters(bands), log_mel="log10"
    )[:, :frames]
    scaled = (np.maximum(powers, powers.max() - 8.0) + 4.0) / 4.0
    return np.ascontiguousarray(scaled, dtype=np.float32)


@cache
def _filters(bands: int) -> Any:
    from transformers.audio_utils import mel_filter_bank

    return mel_filter_bank(1 + WINDOW // 2, bands, 0.0, 8000.0, RATE, norm="slaney", mel_scale="slaney")


def waveform(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples with mean 0 and variance 1, as wav2vec 2.0 reads them (arXiv:2006.11477)."""
    return np.asarray((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7), dtype=np.float32)
