"""Tiny random checkpoints of real architectures that hear or speak, saved like any checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_uppercase


def wav2vec2(folder: Path) -> None:
    """wav2vec2 with letters: seven convolutions of 20 ms together, two layers, a letter for each frame."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *ascii_uppercase]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    Wav2Vec2Processor(extractor, Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))).save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(tokens), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, pad_token_id=0,
        feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    with torch.no_grad():
        for layer in model.wav2vec2.feature_extractor.conv_layers:
            layer.conv.weight.mul_(4)
        model.lm_head.weight.normal_(std=2)
    model.save_pretrained(folder)
