"""Tiny random language models with a chat template, saved like any checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ["<unk>", "<end>", "the", "a", "dog", "cat", "runs", "sits", "on", "in", "grass", "snow"]


def tokenizer() -> Any:
    """Words of a tiny language, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", eos_token="<end>", pad_token="<end>")
    made.chat_template = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"
    return made


def llama(folder: Path, **more: Any) -> None:
    """A two-layer Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(LlamaConfig(**small(), **more)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def sliding(folder: Path) -> None:
    """A two-layer Mistral that sees the last eight tokens."""
    from transformers import MistralConfig, MistralForCausalLM

    MistralForCausalLM(MistralConfig(**small(), sliding_window=8)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def small() -> dict[str, Any]:
    """Sizes."""
    return {
        "vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 60, "eos_token_id": 1,
        "bos_token_id": None, "pad_token_id": 1,
    }  # fmt: skip
