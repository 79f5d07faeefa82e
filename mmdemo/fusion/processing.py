"""Captions as sentences and as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"


def sentence(caption: str) -> str:
    """A caption as a sentence: no space before punctuation, a capital, a full stop."""
    text = re.sub(r"\s+", " ", caption).strip(' ".').strip()
    text = re.sub(r"\s+([,.;:!?'])", r"\1", text)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def train_tokenizer(captions: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: common words are one token, and no word is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, bos_token=BEGIN, eos_token=END)
