"""Which parts go together: every reason why a chain cannot be, as sentences for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from mmdemo.errors import InputError, StudioError, UnknownName
from mmdemo.fusion import encoders, language
from mmdemo.fusion.align import PROJECTORS
from mmdemo.fusion.config import FusionConfig
from mmdemo.fusion.fuse import FUSIONS

LONGEST = 32
"""Positions that an answer needs at least, beside what is given."""


def problems(config: FusionConfig) -> list[str]:
    """Why a model of this configuration cannot be, one sentence each; none if it can."""
    return [str(error) for error in refusals(config)]


def refusals(config: FusionConfig) -> list[StudioError]:
    """The same as errors that can be raised."""
    return list(_names(config)) or list(_pairs(config)) or list(_room(config))


def _names(config: FusionConfig) -> Iterator[StudioError]:
    for what, name, choices in (("fusion", config.fusion, FUSIONS), ("projector", config.projector, PROJECTORS)):
        if name not in choices:
            yield UnknownName(what, name, choices)
    if not config.modalities:
        yield InputError("There is nothing to encode: choose an encoder of pictures, sound or text.")
    if not language.is_causal(config.text_config):
        yield InputError(f"{config.text_config.model_type!r} is no causal language model: choose one that writes text.")


def _pairs(config: FusionConfig) -> Iterator[StudioError]:
    fusion, text = FUSIONS[config.fusion], config.text_config
    if fusion.crosses and not language.can_cross(text):
        yield InputError(
            f"A language model of the type {text.model_type!r} has no cross-attention of its own: "
            "choose gated-cross-attention, which adds it, or another fusion."
        )
    if (fusion.gates or fusion.resamples) and text.hidden_size % config.fusion_heads:
        yield InputError(
            f"The {text.hidden_size} channels of the language model cannot be shared by {config.fusion_heads} heads: "
            "choose a number of heads that divides them."
        )
    if fusion.resamples and config.queries < 1:
        yield InputError("The attention has no queries: choose at least one.")
    if fusion.gates and not 1 <= config.gate_every <= text.num_hidden_layers:
        yield InputError(
            f"Gates before every {config.gate_every}th layer of a language model with {text.num_hidden_layers}: "
            "choose a number from 1 to that."
        )
    if config.frames > 1 and config.vision_config is None:
        yield InputError("There are several frames but no encoder of pictures: choose one.")
    patches = [about for about in map(config.encoder, config.modalities) if about.model_type == "fusion_patches"]
    for about in patches:
        if about.height % about.patch_height or about.width % about.patch_width:
            yield InputError(
                f"{about.height} × {about.width} cannot be cut into patches of {about.patch_height} × "
                f"{about.patch_width}: choose a patch that divides it."
            )
    if config.text_encoder_config is not None and not hasattr(config.text_encoder_config, "vocab_size"):
        yield InputError(
            f"{config.text_encoder_config.model_type!r} reads no text: choose a text encoder, such as BERT."
        )
    if config.audio_config is not None and hasattr(config.audio_config, "num_channels"):
        yield InputError(f"{config.audio_config.model_type!r} reads pictures, not sound: choose a speech encoder.")


def _room(config: FusionConfig) -> Iterator[StudioError]:
    """Whether the modal tokens and an answer fit into the language model's positions."""
    most = getattr(config.text_config, "max_position_embeddings", None) or getattr(
        config.text_config, "n_positions", None
    )
    taken = prefix(config)
    if most and taken + LONGEST > most:
        yield InputError(
            f"{taken} modal tokens and an answer do not fit into the {most} positions of the language model: "
            "choose attention, which gathers them in a few queries, or fewer frames."
        )


def prefix(config: FusionConfig) -> int:
    """How many positions of the language model's sequence the modal tokens take."""
    fusion = FUSIONS[config.fusion]
    if fusion.resamples:
        return config.queries
    return 0 if fusion.crosses or fusion.gates else sum(tokens(config).values())


def tokens(config: FusionConfig) -> dict[str, int]:
    """How many modal tokens each modality gives before they are gathered; text, whose length varies, is not counted."""
    found = {}
    if config.vision_config is not None:
        found["vision"] = config.frames * shape_of("vision", config.vision_config)[0]
    if config.audio_config is not None:
        found["audio"] = -(-shape_of("audio", config.audio_config)[0] // max(1, config.audio_pool))
    return found


def shape_of(modality: str, config: Any) -> tuple[int, int]:
    """(positions, channels) of what an encoder puts out, found on tensors without values: nothing is computed."""
    with torch.device("meta"), torch.inference_mode():
        network = encoders.build(config).eval()
        found = network.read(torch.empty(1, *reads(modality, config)))
    return found.shape[1], found.shape[2]


def reads(modality: str, config: Any) -> tuple[int, ...]:
    """Shape of what an encoder reads of one picture (channels, height, width) or recording (mel bands, frames) or
    (samples,): for a speech encoder of samples ten seconds; for text (1,)."""
    if config.model_type == "fusion_patches":
        return (config.channels, config.height, config.width)
    if modality == "vision":
        size = getattr(config, "image_size", None) or 224
        height, across = (size, size) if isinstance(size, int) else size
        return (3, int(height), int(across))
    if modality == "audio":
        if hasattr(config, "num_mel_bins") and hasattr(config, "max_source_positions"):
            return (config.num_mel_bins, 2 * config.max_source_positions)
        return (160_000,)
    return (1,)


def grid(config: Any) -> int:
    """Rows of the square of features of a timm network; 0 where they are no square."""
    found = shape_of("vision", config)[0]
    side = int(found**0.5)
    return side if side * side == found else 0
