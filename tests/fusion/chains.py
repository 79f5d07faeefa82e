"""Small chains of every kind of part: real architectures, a few thousand parameters, random weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig

from mmdemo.fusion.config import FusionConfig, FusionLstmConfig, FusionPatchesConfig
from mmdemo.fusion.model import FusionModel

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
PICTURE = {**TINY, "image_size": 32, "patch_size": 16}
VISION: dict[str, PreTrainedConfig] = {
    "vit": AutoConfig.for_model("vit", **PICTURE),
    "clip_vision_model": AutoConfig.for_model("clip_vision_model", **PICTURE),
    "clip": AutoConfig.for_model("clip", vision_config=PICTURE, text_config={**TINY, "vocab_size": 50}),
    "siglip_vision_model": AutoConfig.for_model("siglip_vision_model", **PICTURE),
    "dinov2": AutoConfig.for_model("dinov2", **PICTURE),
    "resnet": AutoConfig.for_model("resnet", embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1], layer_type="basic"),
    "fusion_patches": FusionPatchesConfig(height=32, width=32, hidden_size=24),
}
CONVOLUTIONS = {"conv_dim": [16, 16], "conv_stride": [5, 4], "conv_kernel": [10, 8], "num_feat_extract_layers": 2}
SPEECH = {**TINY, **CONVOLUTIONS, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
AUDIO: dict[str, tuple[PreTrainedConfig, tuple[int, ...]]] = {
    "whisper": (
        AutoConfig.for_model(
            "whisper", d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32,
            decoder_attention_heads=2, decoder_ffn_dim=32, num_mel_bins=20, max_source_positions=50, vocab_size=60,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        ),
        (20, 100),
    ),
    "wav2vec2": (AutoConfig.for_model("wav2vec2", **SPEECH), (4000,)),
    "hubert": (AutoConfig.for_model("hubert", **SPEECH), (4000,)),
    "fusion_patches": (
        FusionPatchesConfig(channels=1, height=20, width=100, patch_height=20, patch_width=10, hidden_size=24),
        (20, 100),
    ),
}  # fmt: skip
"""Configurations, and the shape of what each reads of one recording."""
READER = AutoConfig.for_model("bert", vocab_size=40, **TINY)
ENDS: dict[str, Any] = {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
DECODERS: dict[str, PreTrainedConfig] = {
    "gpt2": AutoConfig.for_model(
        "gpt2", n_embd=32, n_layer=2, n_head=2, n_positions=128, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0, **ENDS
    ),
    "llama": AutoConfig.for_model("llama", num_key_value_heads=1, **TINY, **ENDS),
    "fusion_lstm": FusionLstmConfig(hidden_size=32, dropout=0.0, **ENDS),
}


def chain(decoder: str = "gpt2", **parts: Any) -> FusionConfig:
    """The configuration of a chain; without parts, of patches and a spectrogram."""
    given = parts or {"fusion": "concat"}
    if not {"vision_config", "audio_config", "text_encoder_config"} & set(given):
        given = given | {"vision_config": VISION["fusion_patches"], "audio_config": AUDIO["fusion_patches"][0]}
    given = {name: value.to_dict() if isinstance(value, PreTrainedConfig) else value for name, value in given.items()}
    return FusionConfig(text_config=DECODERS[decoder].to_dict(), **{"feature_dropout": 0.0, **given})


def model_of(config: FusionConfig, seed: int = 0) -> FusionModel:
    torch.manual_seed(seed)
    return FusionModel(config).eval()
