"""Tiny random checkpoints of real vision-language architectures, saved like any checkpoint: config, weights, processor.

A test loads them from the folder with the backend that loads the real ones. Run in a process where
`mmdemo.torchvision_ops.prepare` has run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = "describe this picture in one short sentence a an the dog cat child red ball grass runs sits plays what is it"
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(special: list[str], template: str | None = None, **named: str) -> Any:
    """A byte-level BPE trained on a few words, with the special tokens that a processor needs.

    `named`: those that the processor asks the tokenizer for by a name of the family (`image_token`), and `bos_token`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<pad>", "<end>", "<|im_start|>", *special]
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([WORDS] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<end>",
        bos_token=named.pop("bos_token", None),
        additional_special_tokens=special[2:],
        extra_special_tokens=named,
        chat_template=template,
    )


def smolvlm(folder: Path) -> None:
    """SmolVLM2 (Idefics3's successor): a SigLIP encoder, pixel shuffle, a Llama; pictures are split in tiles."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    rows = [f"<row_{row}_col_{column}>" for row in (1, 2, 3, 4) for column in (1, 2, 3, 4)]
    words = tokenizer(["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *rows])
    size = {"longest_edge": 64}
    tiles = {"longest_edge": 32}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=size, max_image_size=tiles),
        words,
        SmolVLMVideoProcessor(size=size, max_image_size=tiles, num_frames=4, fps=1),
        image_seq_len=4,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    )
    config = SmolVLMConfig(
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        vision_config={
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8,
        },
        text_config={"model_type": "llama", **small_text(words)},
    )  # fmt: skip
    save(SmolVLMForConditionalGeneration(config), processor, folder)


def qwen3_vl(folder: Path) -> None:
    """Qwen3-VL: pictures of any size in their own resolution, DeepStack, interleaved MRoPE."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor

    words, ids = qwen_words()
    vision = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 8,
        "out_hidden_size": 32, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        vision_config=vision, text_config={**small_text(words), "head_dim": 8, "rope_parameters": rope}, **ids
    )
    processor = Qwen3VLProcessor(
        qwen_pictures(8), words, Qwen3VLVideoProcessor(patch_size=8), chat_template=words.chat_template
    )
    save(Qwen3VLForConditionalGeneration(config), processor, folder)


def qwen2_5_vl(folder: Path) -> None:
    """Qwen2.5-VL: windowed attention in the encoder, MRoPE."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLVideoProcessor,
    )

    words, ids = qwen_words()
    vision = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 8,
        "out_hidden_size": 32, "window_size": 32, "fullatt_block_indexes": [1],
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    config = Qwen2_5_VLConfig(vision_config=vision, text_config={**small_text(words), "rope_parameters": rope}, **ids)
    processor = Qwen2_5_VLProcessor(
        qwen_pictures(8), words, Qwen2VLVideoProcessor(patch_size=8), chat_template=words.chat_template
    )
    save(Qwen2_5_VLForConditionalGeneration(config), processor, folder)


def blip(folder: Path) -> None:
    """BLIP: a captioner without a chat template; its decoder begins by itself."""
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *dict.fromkeys(WORDS.split())]
    words = BertTokenizer(vocab={word: number for number, word in enumerate(vocabulary)})
    text = {
        "vocab_size": len(vocabulary), "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "projection_dim": 8,
        "bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8, "projection_dim": 8, "initializer_range": 0.02,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=8, image_text_hidden_size=8)
    processor = BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), words)
    save(BlipForConditionalGeneration(config), processor, folder)


def small_text(words: Any) -> dict[str, Any]:
    """A two-layer decoder for this vocabulary."""
    return {
        "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id, "bos_token_id": None,
    }  # fmt: skip


def qwen_words() -> tuple[Any, dict[str, int]]:
    """A tokenizer with Qwen's picture tokens, and their numbers as its configuration names them."""
    names = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words = tokenizer(names, CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"))
    fields = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return words, dict(zip(fields, words.convert_tokens_to_ids(names), strict=True))


def qwen_pictures(patch: int) -> Any:
    """Qwen's image processor, for small pictures."""
    from transformers import Qwen2VLImageProcessor

    return Qwen2VLImageProcessor(patch_size=patch, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64})


def save(model: Any, processor: Any, folder: Path, scale: float = 8.0) -> None:
    """Write a checkpoint. The weights are scaled up, so that different pictures get different words."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name.lower() and parameter.dim() > 1:
                parameter.mul_(scale)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "smolvlm": smolvlm, "qwen3_vl": qwen3_vl, "qwen2_5_vl": qwen2_5_vl, "blip": blip,
}  # fmt: skip
