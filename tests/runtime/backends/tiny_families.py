"""More tiny random checkpoints of vision-language architectures, beside those of `tiny_vision.py`.

Each has the real classes of its family: configuration, tokenizer, processor. Together with `tiny_vision.BUILDERS` they
are all families that one engine file runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.runtime.backends.tiny_vision import CHAT, save, small_text, tokenizer

SQUARE = {"height": 32, "width": 32}
EYE = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
"""A two-layer encoder that makes 16 patches of a picture."""


def vit_gpt2(folder: Path) -> None:
    """ViT and GPT-2 joined by cross-attention: a captioner, whose files name no processor class."""
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessor,
        ViTModel,
    )

    words = tokenizer([])
    decoder = GPT2Config(
        vocab_size=len(words), n_embd=16, n_layer=2, n_head=2, n_positions=64, add_cross_attention=True,
        is_decoder=True, bos_token_id=words.eos_token_id, eos_token_id=words.eos_token_id,
    )  # fmt: skip
    eye = ViTConfig(**EYE, initializer_range=0.02)
    model = VisionEncoderDecoderModel(encoder=ViTModel(eye), decoder=GPT2LMHeadModel(decoder))
    for settings in (model.config, model.generation_config):
        settings.decoder_start_token_id = settings.eos_token_id = words.eos_token_id
        settings.pad_token_id = words.pad_token_id
    save(model, ViTImageProcessor(size=SQUARE), folder)
    words.save_pretrained(folder)


def florence2(folder: Path) -> None:
    """Florence-2: DaViT and BART; what it does is asked for by the name of a task."""
    from transformers import CLIPImageProcessor, Florence2Config, Florence2ForConditionalGeneration, Florence2Processor

    words = tokenizer(["<image>", "<s>"], bos_token="<s>", image_token="<image>")
    pictures = CLIPImageProcessor(size=SQUARE, do_center_crop=False)
    pictures.image_seq_length = 17  # 16 patches and their mean
    vision = {
        "depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
        "patch_prenorm": [False, True], "embed_dim": [16, 32], "num_heads": [2, 2], "num_groups": [2, 2],
        "window_size": 4, "projection_dim": 32, "drop_path_rate": 0.0,
    }  # fmt: skip
    text = {
        "model_type": "bart", "vocab_size": len(words), "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        "max_position_embeddings": 128, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id, "decoder_start_token_id": words.eos_token_id, "forced_eos_token_id": None,
    }  # fmt: skip
    config = Florence2Config(
        vision_config=vision, text_config=text, image_token_id=words.image_token_id,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
        decoder_start_token_id=words.eos_token_id,
    )  # fmt: skip
    save(Florence2ForConditionalGeneration(config), Florence2Processor(pictures, words), folder, 12)


def idefics3(folder: Path) -> None:
    """Idefics3: a SigLIP encoder, pixel shuffle, a Llama; pictures are split in tiles."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor

    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    words = tokenizer(["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *rows])
    pictures = Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(pictures, words, image_seq_len=4, chat_template=CHAT.replace("IMAGE", "<image>"))
    config = Idefics3Config(
        image_token_id=words.convert_tokens_to_ids("<image>"), scale_factor=2, vision_config=EYE,
        text_config={"model_type": "llama", **small_text(words)}, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    save(Idefics3ForConditionalGeneration(config), processor, folder)


def llava(folder: Path) -> None:
    """LLaVA 1.5: a CLIP encoder without its class token, two linear layers, a Llama."""
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    words = tokenizer(["<image>"])
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **EYE, "projection_dim": 16},
        text_config={"model_type": "llama", **small_text(words)},
        image_token_id=words.convert_tokens_to_ids("<image>"), image_seq_length=16,
    )  # fmt: skip
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE), words, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>\n"),
    )  # fmt: skip
    save(LlavaForConditionalGeneration(config), processor, folder)


def paligemma(folder: Path) -> None:
    """PaliGemma: SigLIP and Gemma, asked in a language of its own instead of a chat."""
    from transformers import (
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipImageProcessor,
    )

    words = tokenizer(["<image>", "<bos>"], bos_token="<bos>", image_token="<image>")
    pictures = SiglipImageProcessor(size=SQUARE)
    pictures.image_seq_length = 16
    processor = PaliGemmaProcessor(pictures, words)
    config = PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", **EYE, "vision_use_head": False},
        text_config={"model_type": "gemma", **small_text(words), "head_dim": 8},
        image_token_index=words.image_token_id, projection_dim=32, hidden_size=32, vocab_size=len(words),
    )  # fmt: skip
    save(PaliGemmaForConditionalGeneration(config), processor, folder, 12)


def gemma3(folder: Path) -> None:
    """Gemma 3: SigLIP, pooled to a fixed number of tokens, and a Gemma with sliding windows."""
    import torch
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
    )

    names = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    words = tokenizer([*names.values()], **names)
    pictures = Gemma3ImageProcessor(size=SQUARE)
    processor = Gemma3Processor(
        pictures, words, image_seq_length=4, chat_template=CHAT.replace("IMAGE", "<start_of_image>")
    )
    config = Gemma3Config(
        vision_config={"model_type": "siglip_vision_model", **EYE, "vision_use_head": False},
        text_config={**small_text(words), "head_dim": 8, "sliding_window": 64, "query_pre_attn_scalar": 8},
        mm_tokens_per_image=4, boi_token_index=words.boi_token_id, eoi_token_index=words.eoi_token_id,
        image_token_index=words.image_token_id,
    )  # fmt: skip
    torch.manual_seed(1)  # the weights of 0 end at once
    model = Gemma3ForConditionalGeneration(config)
    model.model.multi_modal_projector.mm_input_projection_weight.data.normal_(std=4)  # made of zeros
    save(model, processor, folder, 1)


def internvl(folder: Path) -> None:
    """InternVL: InternViT, pixel shuffle, a Qwen2; pictures are cut into tiles."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    names = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    words = tokenizer([*names.values()], **names)
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=True, max_patches=4), words,
        InternVLVideoProcessor(size=SQUARE), image_seq_length=4, chat_template=CHAT.replace("IMAGE", "<IMG_CONTEXT>\n"),
    )  # fmt: skip
    config = InternVLConfig(
        vision_config={**EYE, "image_size": [32, 32], "patch_size": [8, 8]},
        text_config={"model_type": "qwen2", **small_text(words)},
        image_token_id=words.context_image_token_id, image_seq_length=4,
    )  # fmt: skip
    save(InternVLForConditionalGeneration(config), processor, folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "vit_gpt2": vit_gpt2, "florence2": florence2, "idefics3": idefics3, "llava": llava, "paligemma": paligemma,
    "gemma3": gemma3, "internvl": internvl,
}  # fmt: skip
