"""Prompts that were read lately: another question about the same picture, or the next line of a conversation, begins
where the two prompts part. Keys and values are kept for the prompt alone, those used last, up to a number of bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from mmdemo.runtime.estimates import Estimate

T = TypeVar("T")
PROMPTS = 4
"""Conversations of the length that is counted on whose keys and values are kept."""
LEAST = 4_000_000
"""Bytes of them at least."""
BIDIRECTIONAL = ("token_type_ids", "cross_attention_mask")
"""Inputs of models whose picture does not only look back, or is not in the sequence: their prompts are read anew."""


def kept(estimate: Estimate) -> int:
    """Bytes of prompts that are kept of a checkpoint."""
    return max(PROMPTS * estimate.cache, LEAST)


def with_prompts(estimate: Estimate) -> Estimate:
    """What a checkpoint takes, with the prompts that are kept."""
    return replace(estimate, other=estimate.other + kept(estimate))


@dataclass(frozen=True)
class Prompt:
    """What was computed for a prompt.

    Attributes:
        tokens: the prompt's.
        picture: the hash of the pictures among them.
        layers: keys and values, each (1, heads, tokens, width).
        shift: what some models add to the position of every token behind their pictures (`rope_deltas`).
    """

    tokens: tuple[int, ...]
    picture: bytes
    layers: tuple[tuple[Tensor, Tensor], ...]
    shift: Tensor | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    def common(self, tokens: Sequence[int], picture: bytes, last: int) -> int:
        """How many tokens from the first on are the same; 0 unless that has all of the same pictures.

        Args:
            last: the place of the last token of a picture in `tokens`; −1 without pictures.
        """
        if picture != self.picture:
            return 0
        pairs = enumerate(zip(self.tokens, tokens, strict=False))
        same = next((place for place, (mine, given) in pairs if mine != given), min(len(self.tokens), len(tokens)))
        return same if same > last else 0


class Prefixes:
    """The prompts of one model, by what they begin with."""

    def __init__(self, model: Any, most: int) -> None:
        """Nothing is kept yet; later at most `most` bytes."""
        self._model, self._most = model, most
        self._prompts: OrderedDict[tuple[bytes, tuple[int, ...]], Prompt] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(prompt.size for prompt in self._prompts.values())

    def begin(self, inputs: Mapping[str, Any], picture: bytes = b"", token: int | None = None) -> dict[str, Any] | None:
        """`inputs` of `generate` for one prompt with the cache that it begins with, which `keeping` takes back.

        Args:
            inputs: as the tokenizer or processor made them, one row without padding.
            picture: a hash of the prompt's pictures.
            token: the token that stands for a piece of a picture; None for a prompt without pictures.

        Returns:
            None if what this model computes for a prompt cannot be cut.
        """
        from transformers import DynamicCache
        from transformers.generation.utils import MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL

        if any(name in inputs for name in BIDIRECTIONAL):
            return None
        cache = DynamicCache(config=self._model.config.get_text_config(decoder=True))
        if any(type(layer).__name__ != "DynamicLayer" for layer in cache.layers):
            return None
        tokens = inputs["input_ids"][0].tolist()
        last = max((place for place, one in enumerate(tokens) if one == token), default=-1)
        prompts = self._prompts.values()
        best = max(prompts, key=lambda prompt: prompt.common(tokens, picture, last), default=None)
        count = min(best.common(tokens, picture, last), len(tokens) - 1) if best else 0
        if best is None or count <= last or count < 1:
            return {**inputs, "past_key_values": cache}
        self._prompts.move_to_end((best.picture, best.tokens))
        for number, (keys, values) in enumerate(best.layers):
            cache.update(keys[:, :, :count], values[:, :, :count], number)
        if best.shift is not None:
            self._model.model.rope_deltas = best.shift
        kept = {name: value for name, value in inputs.items() if name not in MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL}
        return {**kept, "past_key_values": cache}

    def keeping(
        self, texts: Generator[T, None, None], inputs: Mapping[str, Any] | None, picture: bytes = b""
    ) -> Generator[T, None, None]:
        """`texts`; after that the prompt is kept, also if its reader has left before, but not if they failed.

        Args:
            inputs: what `begin` gave.
        """
        try:
            yield from texts
        except GeneratorExit:
            self._keep(inputs, picture)
            raise
        self._keep(inputs, picture)

    def _keep(self, inputs: Mapping[str, Any] | None, picture: bytes) -> None:
        if inputs is None:
            return
        cache, tokens = inputs["past_key_values"], tuple(inputs["input_ids"][0].tolist())
        if cache.get_seq_length() < len(tokens):
            return  # it was stopped before its first word
        layers = tuple(
            (layer.keys[:, :, : len(tokens)].clone(), layer.values[:, :, : len(tokens)].clone())
            for layer in cache.layers
        )
        shift = getattr(getattr(self._model, "model", None), "rope_deltas", None)
        prompt = Prompt(tokens, picture, layers, shift.clone() if isinstance(shift, torch.Tensor) else None)
        if prompt.size > self._most:
            return
        for key, other in list(self._prompts.items()):
            if other.picture == picture and other.tokens == tokens[: len(other.tokens)]:
                del self._prompts[key]  # it is the beginning of this one
        self._prompts[picture, tokens] = prompt
        while self.size > self._most:
            self._prompts.popitem(last=False)

    def close(self) -> None:
        """Forget everything, the model too."""
        self._prompts.clear()
        self._model = None
