"""Checkpoints small enough to train in a test, and rows that can be learned in seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from mmdemo import torchvision_ops
from mmdemo.training import config
from mmdemo.training.events import EVENTS_FILE

torchvision_ops.prepare()

WORDS = ("anna", "berlin", "likes", "hates", "the", "sea", "red", "blue", "runs", "to", "paris", "tom")


def bert(folder: Path) -> Path:
    """A two-layer BERT with a tokenizer of whole words and letters, saved as a sentence encoder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *WORDS,
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{x}" for x in "abcdefghijklmnopqrstuvwxyz"),
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def sentences(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Sentences and whether somebody likes or hates something: the label is a word of the sentence."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        label = ("likes", "hates")[number % 2]
        rest = " ".join(draw.choices(WORDS[4:], k=draw.randint(1, 7)))
        rows.append({"text": f"{draw.choice(WORDS[:2])} {label} {rest} {number}", "label": label})
    return rows


def table(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as a JSONL file."""
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def a_run(folder: Path, **values: Any) -> Path:
    """A run's folder with its file."""
    from mmdemo.options import build

    config.write(build(config.TrainOptions, {"device": "cpu", **values}), folder)
    return folder


def events_of(folder: Path, kind: str = "") -> list[dict[str, Any]]:
    """What a run has told so far."""
    lines = (folder / EVENTS_FILE).read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if not kind or event["kind"] == kind]
