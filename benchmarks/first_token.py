"""Seconds to the first word about a picture, and about a picture that the conversation has had before.

The model is SmolVLM2 256M where it is in the cache, else a checkpoint of its size with random weights: what is computed
is the same. Each picture is asked about twice, with different questions.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.table import Row, at_least
from mmdemo import catalog, torchvision_ops
from mmdemo.runtime import backends, device
from mmdemo.runtime.base import Load
from mmdemo.runtime.sources import cached
from mmdemo.settings import Settings

KEY = "smolvlm2-256m"
REPEATS = 3
QUESTIONS = ("what is it", "a red ball or the dog")
SIZES: dict[str, dict[str, int]] = {
    "vision": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "text": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
             "num_key_value_heads": 3, "max_position_embeddings": 8192},
}  # fmt: skip


def run(repeats: int = REPEATS, sizes: dict[str, dict[str, int]] = SIZES) -> list[Row]:
    """The medians of both."""
    spec, settings = catalog.get(KEY), Settings.load()
    with tempfile.TemporaryDirectory() as made:
        folder, name = cached(spec, settings), "SmolVLM2 256M"
        if folder is None:
            folder, name = Path(made), "a model of the size of SmolVLM2 256M"
            build(folder, sizes)
        row = dataclasses.replace(spec, answers=True)
        backend = backends.load(Load(row, {KEY: folder}, "cpu", device.cores()))
        first, again = [], []
        for number in range(repeats + 1):
            noise = np.random.default_rng(number).integers(0, 255, (384, 512, 3), dtype=np.uint8)
            seconds = [word(backend, Image.fromarray(noise), question) for question in QUESTIONS]
            if number:  # the first one warms up
                first.append(seconds[0])
                again.append(seconds[1])
        backend.close()
    new, old = statistics.median(first), statistics.median(again)
    what = f"first word about a picture seen before, {name}"
    return [at_least(what, f"{old:.2f} s", f"{new:.2f} s, the first time", new / old, 3)]


def word(backend: Any, image: Image.Image, question: str) -> float:
    """Seconds until the first word."""
    begun = time.perf_counter()
    answer = backend.describe([image], style="sentence", question=question, max_words=4)
    next(answer)
    seconds = time.perf_counter() - begun
    answer.close()
    return seconds


def build(folder: Path, sizes: dict[str, dict[str, int]]) -> None:
    """A checkpoint with random weights: pictures of four by four tiles and the whole, 64 tokens each."""
    torchvision_ops.prepare()
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    from tests.runtime.backends.tiny_vision import CHAT, tokenizer

    rows = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    words = tokenizer(["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *rows])
    size, tiles = {"longest_edge": 2048}, {"longest_edge": 512}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=size, max_image_size=tiles), words,
        SmolVLMVideoProcessor(size=size, max_image_size=tiles, num_frames=4, fps=1),
        image_seq_len=64, chat_template=CHAT.replace("IMAGE", "<image>"),
    )  # fmt: skip
    ids = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id, "bos_token_id": None}
    config = SmolVLMConfig(
        image_token_id=words.convert_tokens_to_ids("<image>"), scale_factor=4,
        vision_config={"image_size": 512, "patch_size": 16, **sizes["vision"]},
        text_config={"model_type": "llama", "vocab_size": 49280, **ids, **sizes["text"]},
    )  # fmt: skip
    SmolVLMForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
