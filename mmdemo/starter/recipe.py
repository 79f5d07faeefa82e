"""What decides the starter describer: its sizes, its training, and how its checkpoint is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig, GPT2Config, PreTrainedTokenizerFast

from mmdemo.fusion import checkpoint
from mmdemo.fusion.config import FusionConfig, FusionVisionConfig
from mmdemo.fusion.model import FusionModel

BEAMS = 3
"""Beam width of the shipped describer; what it gains and costs is in `docs/experiments.md`."""
NO_REPEAT = 2
"""So many tokens in a row never come twice in a sentence: "a white shirt and a white shirt" is not said."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result, and the seed."""

    epochs: int = 40
    batch: int = 32
    captions: int = 1
    crops: int = 4
    longest: int = 28
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    dropout: float = 0.3
    feature_dropout: float = 0.2
    initializer_range: float = 0.04
    vocabulary: int = 3000
    layers: int = 3
    width: int = 384
    heads: int = 6
    average_decay: float = 0.999
    seed: int = 7
    reward_steps: int = 0
    reward_samples: int = 5
    reward_learning_rate: float = 3e-5


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> FusionModel:
    """A fusion model with fresh decoder weights."""
    text = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        resid_pdrop=recipe.dropout,
        embd_pdrop=recipe.dropout,
        initializer_range=recipe.initializer_range,
        attn_pdrop=0.0,  # with it, attention leaves the fused kernel and a step takes twice as long
        activation_function="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = FusionConfig(
        vision_config=FusionVisionConfig().to_dict(),
        text_config=text.to_dict(),
        feature_dropout=recipe.feature_dropout,
        fusion="cross-attention",
    )
    return FusionModel(config)


def describe(
    model: FusionModel, features: NDArray[np.float16], tokenizer: PreTrainedTokenizerFast, beams: int = 1
) -> list[str]:
    """One sentence for each row of `features`."""
    model.eval()
    sentences: list[str] = []
    for start in range(0, len(features), 50):
        chunk = torch.from_numpy(np.asarray(features[start : start + 50], dtype=np.float32))
        ids = model.generate(
            features=chunk, max_new_tokens=32, num_beams=beams, no_repeat_ngram_size=NO_REPEAT, do_sample=False
        )
        sentences += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return sentences


def save(model: FusionModel, tokenizer: PreTrainedTokenizerFast, out: Path, record: dict[str, object]) -> None:
    """Write the checkpoint without the encoder's weights, the tokenizer, and how it was made."""
    checkpoint.save(model, out)
    tokenizer.save_pretrained(out)
    text = model.config.text_config
    GenerationConfig(
        num_beams=BEAMS,
        no_repeat_ngram_size=NO_REPEAT,
        bos_token_id=text.bos_token_id,
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
    ).save_pretrained(out)
    (out / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
