"""A fusion model small enough to train in a test: a real encoder architecture, a two-layer decoder."""

from __future__ import annotations

import torch
from transformers import GPT2Config

from mmdemo.fusion.config import FusionConfig, FusionVisionConfig
from mmdemo.fusion.model import FusionModel


def toy_config(projector: str = "mlp", fusion: str = "concat") -> FusionConfig:
    vision = FusionVisionConfig(
        architecture="test_efficientnet", hidden_size=256, num_classes=10, image_size=64, grid_size=2
    )
    text = GPT2Config(
        vocab_size=50,
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        attn_pdrop=0.0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
    )
    return FusionConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        projector=projector,
        fusion=fusion,
        feature_dropout=0.0,
    )


def toy_model(projector: str = "mlp", seed: int = 0, fusion: str = "concat") -> FusionModel:
    torch.manual_seed(seed)
    return FusionModel(toy_config(projector, fusion)).eval()
