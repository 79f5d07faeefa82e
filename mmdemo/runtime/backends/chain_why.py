"""What a composed chain says of its answers: the reasons for each word, from all that it saw, heard and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from mmdemo.errors import InputError
from mmdemo.fusion import check, reading
from mmdemo.fusion.pixels import colours
from mmdemo.fusion.processing import sentence
from mmdemo.fusion.sounds import RATE, log_mel
from mmdemo.results import Sights
from mmdemo.runtime.backends import fusion_why
from mmdemo.runtime.backends.checkpoint import use_threads
from mmdemo.runtime.explaining import Explained, Given

if TYPE_CHECKING:
    from mmdemo.fusion.model import FusionModel

MOST = 256
"""Tokens of an answer that are explained."""
WORDS = 80
"""Tokens that it says at most where no answer is given."""
NAMES = {"vision": "pixel_values", "audio": "audio_values", "text": "context_ids"}
"""What each modality's encoder is given, as arguments of the model."""


def needs(config: Any) -> Mapping[str, int]:
    """See `runtime.explaining.Explainer`."""
    found = {"text": 1} if config.text_encoder_config is not None else {}
    if config.vision_config is not None:
        found["vision"] = int(config.frames)
    if config.audio_config is not None:
        found["audio"] = max(1, round(reading.seconds(config)))
    return found


def explain(
    model: FusionModel,
    tokenizer: Any,
    given: Sequence[tuple[Given, Mapping[str, Any]]],
    answer: str,
    search: Mapping[str, Any],
    threads: int,
) -> Iterator[Explained]:
    """An answer, or what the chain says now, explained for each of what it is given.

    Args:
        tokenizer: of transformers, fast.
        given: with each its arguments of the model: `pixel_values`, `audio_values`, `context_ids`, …
        search: how an answer is searched for: `num_beams`, …

    Raises:
        InputError: there is nothing that the chain can see, hear or read, or the answer is too long.
    """
    use_threads(threads)
    for one, arguments in given:
        features = encoded(model, arguments)
        if not features:
            raise InputError("There is nothing here that this model can see, hear or read: give another file.")
        with torch.inference_mode():
            ids = model.generate(
                features=features, max_new_tokens=min(WORDS, room(model.config)), do_sample=False, **search
            )
        said = tokenizer.decode(ids[0], skip_special_tokens=True)
        if not (answer or said).strip():
            raise InputError("The model says nothing of this: train it longer, or give another file.")
        raw = said if not answer or answer in (sentence(said), said.strip()) else answer
        reasons = fusion_why.reasons(model, tokenizer.backend_tokenizer, features, raw, room(model.config))
        seen = sights(model.config, arguments, one, fusion_why.tokens(tokenizer.backend_tokenizer, raw))
        yield Explained(answer or sentence(said), reasons, seen)


def room(config: Any) -> int:
    """Tokens of an answer that fit into the language model behind what it is given, at most `MOST`."""
    text = config.text_config
    most = getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None) or MOST
    return min(MOST, int(most) - check.prefix(config) - 1)


def encoded(model: FusionModel, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Features by modality, of what is there."""
    found = {}
    with torch.no_grad():
        for modality, name in NAMES.items():
            if modality in model.config.modalities and arguments.get(name) is not None:
                mask = arguments.get("context_mask") if modality == "text" else None
                if mask is None or mask.any():
                    found[modality] = model.encoded(modality, arguments[name], mask).float()
    return found


def sights(config: Any, arguments: Mapping[str, Any], one: Given, tokens: Sequence[str]) -> Sights:
    """What its encoders were given, as pictures: frames without their normalisation, the sound as log-mel."""
    pictures: tuple[Any, ...] = ()
    if arguments.get("pixel_values") is not None:
        values = arguments["pixel_values"][0].float().cpu().numpy()
        pictures = tuple(colours(values if values.ndim == 4 else values[None], *reading.scale(config.vision_config)))
    mel, seconds = None, 0.0
    if arguments.get("audio_values") is not None:
        heard = arguments["audio_values"][0].float().cpu().numpy()
        if heard.ndim == 2:
            mel, seconds = heard, heard.shape[1] / 100
        elif one.sound is not None:
            seconds = len(heard) / RATE
            mel = log_mel(one.sound, frames=round(100 * seconds))
    return Sights(pictures, mel=mel, seconds=seconds, tokens=tuple(tokens))
