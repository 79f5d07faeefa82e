"""When in a sound a speech model of `transformers` heard each word of what it wrote, and what silence would give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdemo.errors import InputError
from mmdemo.results import Reason, Sights
from mmdemo.runtime.backends import spoken
from mmdemo.runtime.base import RATE, Audio

MOST = 200
"""Tokens of an answer that are explained."""


def explained(
    model: Any,
    tokenizer: Any,
    heard: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    prompt: Sequence[int],
    answer: str,
    share: float,
) -> tuple[tuple[Reason, ...], list[str]]:
    """The reasons for each word of an answer of a model that writes while it attends to a sound, and its tokens.

    A position of the encoder counts by |∇f · f| of the logarithm of the word's probability (arXiv:1605.01713).

    Args:
        tokenizer: of transformers, fast.
        heard: what the model is given of the sound, and of as much silence.
        prompt: tokens that it begins with.
        answer: with the space before it, if the model writes one.
        share: of what the encoder reads, how much is the sound; silence follows.

    Raises:
        InputError: the answer has no words or too many.
    """
    encoding = tokenizer.backend_tokenizer.encode(answer, add_special_tokens=False)
    spoken.check(answer, len(encoding.ids), MOST)
    ids = torch.tensor([encoding.ids], device=model.device)
    begun = torch.tensor([[*prompt, *encoding.ids[:-1]]], device=model.device)
    model.requires_grad_(False)

    def logs(inputs: Mapping[str, Tensor], states: Any) -> Tensor:
        more = {"attention_mask": inputs["attention_mask"]} if "attention_mask" in inputs else {}
        logits = model(encoder_outputs=states, decoder_input_ids=begun, **more).logits[:, len(prompt) - 1 :]
        found: Tensor = logits.float().log_softmax(-1).gather(-1, ids[..., None])[0, :, 0]
        return found

    with torch.inference_mode(False):
        sound, silence = ({name: value.clone() for name, value in one.items()} for one in heard)
        with torch.no_grad():
            states, quiet = (model.get_encoder()(**one) for one in (sound, silence))
            without = logs(silence, quiet).cpu().numpy()
        with torch.enable_grad():
            leaf = states["last_hidden_state"].detach().clone().requires_grad_()
            states["last_hidden_state"] = leaf
            own_logs = logs(sound, states)
            numbers, kept = own_logs.detach().cpu().numpy(), max(1, round(share * leaf.shape[1]))
            made = []
            for word, own in spoken.words(answer, encoding.offsets):
                (slope,) = torch.autograd.grad(own_logs[own].sum(), leaf, retain_graph=True)
                counted = (slope * leaf).float().sum(-1)[0, :kept].abs().detach().cpu().numpy()
                looked = (counted / max(float(counted.sum()), 1e-12))[None, None].astype(np.float32)
                made.append(spoken.reason(word, own, numbers, {"audio": looked}, {"audio": without}))
    return tuple(made), [answer[start:end] for start, end in encoding.offsets]


def sound_of(given: Audio | None) -> Audio:
    """The sound that is to be heard, at most thirty seconds.

    Raises:
        InputError: there is none.
    """
    if given is None or not len(given):
        raise InputError("There is no sound to listen to: give a recording.")
    return given[: 30 * RATE]


def sights(samples: Audio, tokens: Sequence[str]) -> Sights:
    """The sound as log-mel, and the tokens of the answer."""
    from mmdemo.fusion.sounds import log_mel

    seconds = len(samples) / RATE
    return Sights(mel=log_mel(samples, frames=max(1, round(100 * seconds))), seconds=seconds, tokens=tuple(tokens))
