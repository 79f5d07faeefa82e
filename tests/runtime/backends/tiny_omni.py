"""A tiny random Qwen2.5-Omni: pictures, sound and video in one chat, saved as the real one is, its voice included."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.backends.tiny_vision import qwen_pictures, save, small_text, tokenizer

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_bos|><|IMAGE|><|vision_eos|>"
    "{% elif part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% elif part['type'] == 'video' %}<|vision_bos|><|VIDEO|><|vision_eos|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NAMES = {
    "image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>",
}  # fmt: skip


def qwen2_5_omni(folder: Path) -> None:
    """Qwen2.5-Omni: Whisper's encoder, Qwen2.5-VL's encoder and a Qwen2 with positions in time."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import (
        Qwen2_5OmniConfig,
        Qwen2_5OmniForConditionalGeneration,
        Qwen2_5OmniProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    words = tokenizer([*NAMES.values()], CHAT, **NAMES)
    ids = {name: words.convert_tokens_to_ids(token) for name, token in NAMES.items()}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    thinker = {
        "audio_config": {
            "num_mel_bins": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32,
            "d_model": 16, "n_window": 20, "output_dim": 32,
        },
        "vision_config": {
            "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 8,
            "out_hidden_size": 32, "window_size": 32, "fullatt_block_indexes": [1],
        },
        "text_config": {**small_text(words), "rope_parameters": rope, "max_position_embeddings": 2048},
        "audio_token_index": ids["audio_token"], "image_token_index": ids["image_token"],
        "video_token_index": ids["video_token"], "vision_start_token_id": ids["vision_bos_token"],
        "vision_end_token_id": ids["vision_eos_token"], "audio_start_token_id": ids["audio_bos_token"],
        "audio_end_token_id": ids["audio_eos_token"], "pad_token_id": words.pad_token_id,
    }  # fmt: skip
    config = Qwen2_5OmniConfig(thinker_config=thinker, enable_audio_output=False)
    processor = Qwen2_5OmniProcessor(
        qwen_pictures(8),
        Qwen2VLVideoProcessor(patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}),
        WhisperFeatureExtractor(feature_size=16), words, chat_template=CHAT,
    )  # fmt: skip
    save(Qwen2_5OmniForConditionalGeneration(config), processor, folder)
    weights = load_file(folder / "model.safetensors")
    weights["talker.codec_head.weight"] = torch.zeros(4, 4)  # what makes its voice lies beside the thinker
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
