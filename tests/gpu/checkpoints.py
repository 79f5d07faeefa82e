"""Checkpoints of real size with random weights, written on the machine itself: nothing is downloaded.

The configurations are those of the published models, the tokenizers and processors the small ones of the other tests.
Weights are made and written one shard at a time, so that memory holds one shard and not the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.runtime.backends.tiny_vision import CHAT, qwen_pictures, qwen_words, small_text, tokenizer

SHARD = 2_000_000_000
"""Bytes of a shard."""
SPREAD = 0.02
"""Standard deviation of a weight, as most of these models are initialised."""


def smolvlm_500m(folder: Path) -> None:
    """SmolVLM2-500M-Video-Instruct: SigLIP-B/16 at 512, pixel shuffle by 4, a SmolLM2-360M."""
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
              "image_size": 512, "patch_size": 16}  # fmt: skip
    text = {"vocab_size": 49280, "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32,
            "num_attention_heads": 15, "num_key_value_heads": 5, "max_position_embeddings": 8192}  # fmt: skip
    smolvlm(folder, vision, text, scale=4)


def qwen3_vl_2b(folder: Path) -> None:
    """Qwen3-VL-2B-Instruct."""
    vision = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2048,
              "deepstack_visual_indexes": [5, 11, 17]}  # fmt: skip
    text = {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16}
    qwen3_vl(folder, vision, {**LARGE, **text}, tied=True)


def qwen3_vl_8b(folder: Path) -> None:
    """Qwen3-VL-8B-Instruct."""
    vision = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "out_hidden_size": 4096,
              "deepstack_visual_indexes": [8, 16, 24]}  # fmt: skip
    text = {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32}
    qwen3_vl(folder, vision, {**LARGE, **text}, tied=False)


LARGE: dict[str, Any] = {
    "vocab_size": 151936, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262144,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True,
    },
}  # fmt: skip
"""What both sizes of Qwen3-VL share."""
REAL: dict[str, Callable[[Path], None]] = {
    "smolvlm-500m": smolvlm_500m, "qwen3-vl-2b": qwen3_vl_2b, "qwen3-vl-8b": qwen3_vl_8b,
}  # fmt: skip


def tiny_smolvlm(folder: Path) -> None:
    """The same code with two small layers, for a machine without a GPU."""
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 8}  # fmt: skip
    smolvlm(folder, vision, {}, scale=2)


def tiny_qwen3_vl(folder: Path) -> None:
    """The same code with two small layers, for a machine without a GPU."""
    vision = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
              "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    qwen3_vl(folder, vision, {"head_dim": 8, "rope_parameters": rope}, tied=False)


TINY: dict[str, Callable[[Path], None]] = {"tiny-smolvlm": tiny_smolvlm, "tiny-qwen3-vl": tiny_qwen3_vl}


def smolvlm(folder: Path, vision: dict[str, Any], text: dict[str, Any], scale: int) -> None:
    """A SmolVLM of these sizes; pictures are not cut into tiles, so that all have the same number of tokens."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    words = tokenizer(["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"])
    edge = {"longest_edge": vision["image_size"]}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=edge, max_image_size=edge, do_image_splitting=False),
        words,
        SmolVLMVideoProcessor(size=edge, max_image_size=edge, num_frames=4, fps=1),
        image_seq_len=(vision["image_size"] // vision["patch_size"] // scale) ** 2,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    )
    config = SmolVLMConfig(
        image_token_id=words.convert_tokens_to_ids("<image>"), scale_factor=scale, vision_config=vision,
        text_config={"model_type": "llama", **small_text(words), **text},
    )  # fmt: skip
    write(SmolVLMForConditionalGeneration, config, processor, folder)


def qwen3_vl(folder: Path, vision: dict[str, Any], text: dict[str, Any], tied: bool) -> None:
    """A Qwen3-VL of these sizes."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor

    words, ids = qwen_words()
    patch = 16 if vision["depth"] > 2 else 8
    config = Qwen3VLConfig(
        vision_config={"patch_size": patch, **vision}, text_config={**small_text(words), **text},
        tie_word_embeddings=tied, **ids,
    )  # fmt: skip
    processor = Qwen3VLProcessor(
        qwen_pictures(patch), words, Qwen3VLVideoProcessor(patch_size=patch), chat_template=words.chat_template
    )
    write(Qwen3VLForConditionalGeneration, config, processor, folder)


def write(architecture: Any, config: Any, processor: Any, folder: Path) -> None:
    """A checkpoint in bfloat16 with random weights and scales of 1, in shards, as `save_pretrained` lays one out."""
    from accelerate import init_empty_weights
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with init_empty_weights():
        model = architecture(config)
    model.tie_weights()
    config.architectures, config.dtype = [architecture.__name__], "bfloat16"
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dice = torch.Generator(device).manual_seed(0)
    tied = set(getattr(model, "all_tied_weights_keys", {}) or {})
    shards: list[list[str]] = [[]]
    sizes = {name: 2 * one.numel() for name, one in model.state_dict().items() if name not in tied}
    room = SHARD
    for name, size in sizes.items():
        if size > room and shards[-1]:
            shards.append([])
            room = SHARD
        shards[-1].append(name)
        room -= size
    shapes = {name: one.shape for name, one in model.state_dict().items()}
    files: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        made = {name: _tensor(name, shapes[name], dice, device) for name in names}
        save_file(made, folder / file, metadata={"format": "pt"})
        files |= dict.fromkeys(names, file)
    if len(shards) > 1:
        listed = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": files}
        (folder / "model.safetensors.index.json").write_text(json.dumps(listed))


def _tensor(name: str, shape: Any, dice: torch.Generator, device: str) -> torch.Tensor:
    """A bias of zeros, a scale of ones, or random weights."""
    if name.endswith("bias"):
        made = torch.zeros(shape)
    elif "norm" in name.lower():
        made = torch.ones(shape)
    else:
        made = torch.randn(shape, generator=dice, device=device) * SPREAD
    return made.to("cpu", torch.bfloat16)
