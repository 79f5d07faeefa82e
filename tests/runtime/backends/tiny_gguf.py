"""A tiny random GGUF language model and its eye (`mmproj`, as LLaVA 1.5 has it), which llama.cpp loads as any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

WIDTH, INNER, LAYERS, HEADS = 32, 64, 2, 4
IMAGE, PATCH = 56, 14
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def letters() -> list[str]:
    """A byte-level vocabulary: GPT-2's character for each byte, in their order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]


class _Writer:
    """A GGUF file whose matrices are random, whose scales are ones and whose shifts are zeros."""

    def __init__(self, path: Path, kind: str) -> None:
        self.file, self.dice = gguf.GGUFWriter(path, kind), np.random.default_rng(0)

    def random(self, name: str, *shape: int) -> None:
        self.file.add_tensor(name, (self.dice.standard_normal(shape) * 0.2).astype(np.float32))

    def ones(self, name: str) -> None:
        self.file.add_tensor(name, np.ones(WIDTH, np.float32))

    def zeros(self, name: str, size: int = WIDTH) -> None:
        self.file.add_tensor(name, np.zeros(size, np.float32))

    def close(self) -> None:
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()


def language_model(path: Path) -> None:
    """A two-layer Llama."""
    made, names = _Writer(path, "llama"), [*letters(), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    file: Any = made.file
    file.add_name("tiny")
    file.add_context_length(4096)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_vocab_size(len(names))
    file.add_file_type(0)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")
    file.add_token_list(names)
    file.add_token_types([1] * 256 + [3] * 3)
    file.add_token_merges(["t h"])
    file.add_eos_token_id(258)
    file.add_bos_token_id(257)
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)
    made.random("token_embd.weight", len(names), WIDTH)
    made.ones("output_norm.weight")
    made.random("output.weight", len(names), WIDTH)
    for layer in range(LAYERS):
        start = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            made.ones(f"{start}{name}.weight")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            made.random(f"{start}{name}.weight", WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            made.random(f"{start}{name}.weight", INNER, WIDTH)
        made.random(f"{start}ffn_down.weight", WIDTH, INNER)
    made.close()


def eye(path: Path) -> None:
    """A two-layer ViT and a projector of two matrices."""
    made = _Writer(path, "clip")
    file: Any = made.file
    file.add_bool("clip.has_vision_encoder", True)
    file.add_string("clip.projector_type", "mlp")
    file.add_bool("clip.use_gelu", True)
    sizes = {
        "image_size": IMAGE, "patch_size": PATCH, "embedding_length": WIDTH, "feed_forward_length": INNER,
        "projection_dim": WIDTH, "block_count": LAYERS, "attention.head_count": HEADS,
    }  # fmt: skip
    for name, size in sizes.items():
        file.add_uint32(f"clip.vision.{name}", size)
    file.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    file.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    file.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    file.add_file_type(0)
    made.random("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    made.random("v.position_embd.weight", (IMAGE // PATCH) ** 2 + 1, WIDTH)
    made.random("v.class_embd", WIDTH)
    for layer in range(LAYERS):
        start = f"v.blk.{layer}."
        for name in ("ln1", "ln2"):
            made.ones(f"{start}{name}.weight")
            made.zeros(f"{start}{name}.bias")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            made.random(f"{start}{name}.weight", WIDTH, WIDTH)
            made.zeros(f"{start}{name}.bias")
        made.random(f"{start}ffn_up.weight", INNER, WIDTH)
        made.zeros(f"{start}ffn_up.bias", INNER)
        made.random(f"{start}ffn_down.weight", WIDTH, INNER)
        made.zeros(f"{start}ffn_down.bias")
    made.ones("v.post_ln.weight")
    made.zeros("v.post_ln.bias")
    for name in ("mm.0", "mm.2"):
        made.random(f"{name}.weight", WIDTH, WIDTH)
        made.random(f"{name}.bias", WIDTH)
    made.close()
