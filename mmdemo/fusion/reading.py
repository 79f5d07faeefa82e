"""Pictures and sound as the encoders of a chain read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.fusion import check
from mmdemo.fusion.config import FusionConfig
from mmdemo.fusion.pixels import pixels
from mmdemo.fusion.sounds import log_mel, waveform

Floats = NDArray[np.float32]
USUAL = (0.5, 0.5, 0.5)
"""Mean and deviation of pixels where an encoder's configuration says nothing."""


def pictures(images: Sequence[Image.Image], about: Any) -> Floats:
    """RGB pictures as an encoder of this configuration reads them, (pictures, 3, height, width)."""
    _, height, width = check.reads("vision", about)
    made: Floats = pixels(images, (height, width), *scale(about))
    return made


def scale(about: Any) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation of the pixels that an encoder of this configuration reads."""
    return getattr(about, "image_mean", None) or USUAL, getattr(about, "image_std", None) or USUAL


def video(images: Sequence[Image.Image], config: FusionConfig) -> Floats:
    """Frames as the chain's eye reads them: (frames, 3, height, width), or (3, height, width) if it reads one picture.

    Too few are repeated, of too many some are left out, evenly.
    """
    if config.frames == 1:
        one: Floats = pictures([images[len(images) // 2]], config.vision_config)[0]
        return one
    places = [int((place + 0.5) * len(images) / config.frames) for place in range(config.frames)]
    return pictures([images[place] for place in places], config.vision_config)


def sound(samples: Floats, config: FusionConfig) -> Floats:
    """Samples, mono at 16 kHz, as the chain's ear reads them: (mel bands, frames), or (samples,).

    What is longer than it hears at once is cut; silence follows what is shorter.
    """
    about = config.audio_config
    shape = check.reads("audio", about)
    if len(shape) == 1:
        whole = np.zeros(shape[0], np.float32)
        kept = samples[: shape[0]]
        whole[: len(kept)] = waveform(kept)
        return whole
    bands, frames = shape[-2:]
    mel: Floats = log_mel(samples, bands, frames)
    return mel


def seconds(config: FusionConfig) -> float:
    """How much of a sound the chain hears at once, in seconds."""
    shape = check.reads("audio", config.audio_config)
    return shape[0] / 16_000 if len(shape) == 1 else shape[-1] / 100


def looks(modality: str, config: Any) -> str:
    """How an encoder's input is made, in a line: what tells its features from those of another way to read."""
    about = config.encoder(modality)
    shape = check.reads(modality, about)
    colours = [getattr(about, name, None) for name in ("image_mean", "image_std")] if modality == "vision" else []
    return f"{modality} {shape} {colours} {config.frames if modality == 'vision' else ''}"
