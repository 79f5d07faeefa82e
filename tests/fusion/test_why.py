"""Explanations of an answer on small chains of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdemo.fusion.fuse import FUSIONS
from mmdemo.fusion.why import grid, why
from tests.fusion.chains import AUDIO, VISION, chain, model_of


@pytest.mark.parametrize("fusion", FUSIONS)
def test_any_fusion_is_explained_token_by_token(fusion: str) -> None:
    model = model_of(chain(fusion=fusion))
    for gate in getattr(model, "gates", ()):
        torch.nn.init.ones_(gate.attention_gate)
    pixels, sound = torch.randn(1, 3, 32, 32), torch.randn(1, 20, 100)
    features = {"vision": model.encoded("vision", pixels), "audio": model.encoded("audio", sound)}
    answer = torch.tensor([7, 8, 2])
    found = why(model, answer, features)
    assert found.looked["vision"].shape == (3, 4) and found.looked["audio"].shape == (3, 10)
    assert np.allclose(found.share("vision") + found.share("audio"), 1, atol=1e-4)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[1, 7, 8]]), features=features).logits[0]
        alone = model(input_ids=torch.tensor([[1, 7, 8]]), pixel_values=pixels).logits[0]
    expected = logits.softmax(-1)[[0, 1, 2], answer]
    assert np.allclose(found.probabilities, expected, atol=1e-5)
    lost = expected.log() - alone.log_softmax(-1)[[0, 1, 2], answer]
    assert np.allclose(found.without["audio"], lost, atol=1e-4)


@pytest.mark.parametrize("decoder", ["gpt2", "llama", "fusion_lstm"])
@pytest.mark.parametrize("fusion", ["concat", "attention", "gated-cross-attention"])
def test_without_its_only_modality_a_model_says_what_it_would_say_by_itself(fusion: str, decoder: str) -> None:
    model = model_of(chain(decoder, vision_config=VISION["vit"], frames=2, fusion=fusion))
    features = {"vision": model.encoded("vision", torch.randn(1, 2, 3, 32, 32))}
    found = why(model, torch.tensor([7, 8]), features)
    assert found.looked["vision"].shape == (2, 2, 5)
    other = why(model, torch.tensor([7, 8]), {"vision": 3 * features["vision"].flip(-1)})
    alone = np.log(found.probabilities) - found.without["vision"]
    assert np.isfinite(alone).all()
    assert np.allclose(alone, np.log(other.probabilities) - other.without["vision"], atol=1e-4), "whatever the picture"


def test_positions_are_places_of_the_picture_or_times_of_the_sound() -> None:
    assert grid("vision", VISION["vit"], 5) == (2, 2), "after the CLS token"
    assert grid("vision", VISION["resnet"], 49) == (7, 7)
    assert grid("vision", VISION["fusion_patches"], 4) == (2, 2)
    assert grid("audio", AUDIO["whisper"][0], 50) == (1, 50)
