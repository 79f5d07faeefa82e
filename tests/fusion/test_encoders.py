"""Encoders of every kind in the chain: pictures, frames, sound and text become tokens of the language model."""

from __future__ import annotations

import pytest
import torch

from mmdemo.errors import UnknownName
from mmdemo.fusion import encoders
from mmdemo.fusion.config import FusionVisionConfig
from mmdemo.fusion.encoders import fingerprint
from mmdemo.fusion.times import left_out, pooled
from tests.fusion.chains import AUDIO, READER, VISION, chain, model_of

IDS = torch.tensor([[1, 5, 6], [1, 7, 8]])


@pytest.mark.parametrize("kind", VISION)
def test_any_vision_tower_is_read_and_its_features_can_be_kept(kind: str) -> None:
    model = model_of(chain(vision_config=VISION[kind]))
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        features = model.encoded("vision", pixels)
        kept = model(input_ids=IDS, features=features).logits
        assert features.ndim == 3 and len(features) == 2
        assert kept.shape == (2, 3, 50)
        assert torch.equal(model(input_ids=IDS, pixel_values=pixels).logits, kept)


@pytest.mark.parametrize("kind", AUDIO)
def test_any_speech_encoder_is_read_and_several_positions_may_become_one(kind: str) -> None:
    config, shape = AUDIO[kind]
    model = model_of(chain(audio_config=config, audio_pool=4))
    sound = torch.randn(2, *shape)
    with torch.inference_mode():
        features = model.encoded("audio", sound)
        assert model.modal(audio_values=sound)[0].shape == (2, -(-features.shape[1] // 4), 32)
        assert torch.equal(
            model(input_ids=IDS, audio_values=sound).logits, model(input_ids=IDS, features={"audio": features}).logits
        )


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "test_convnext", "test_vit", "focalnet_tiny_srf"])
def test_networks_of_timm_with_the_channels_first_last_or_in_a_line_are_read(name: str) -> None:
    size = 160 if name.startswith("test") else 224
    with torch.device("meta"), torch.inference_mode():
        encoder = encoders.VisionEncoder(FusionVisionConfig(architecture=name, image_size=size)).eval()
        found = encoder.read(torch.empty(2, 3, size, size))
        features, classes = encoder(torch.empty(2, 3, size, size))
    assert found.shape == features.shape and found.shape[2] == encoder.network.num_features and classes.shape[0] == 2


def test_the_mean_of_a_few_positions_is_one() -> None:
    features = torch.arange(5.0).reshape(1, 5, 1)
    assert pooled(features, 2).flatten().tolist() == [0.5, 2.5, 4.0]


def test_padding_of_a_text_beside_the_question_changes_nothing() -> None:
    model = model_of(chain(text_encoder_config=READER))
    short, padded = torch.tensor([[3, 4]]), torch.tensor([[3, 4, 0, 0]])
    with torch.inference_mode():
        alone = model(input_ids=IDS[:1], context_ids=short, context_mask=torch.ones(1, 2)).logits
        among = model(input_ids=IDS[:1], context_ids=padded, context_mask=torch.tensor([[1, 1, 0, 0]])).logits
    assert torch.allclose(alone, among, atol=1e-5)


def test_each_frame_is_encoded_by_itself_and_has_the_position_of_its_time() -> None:
    model = model_of(chain(vision_config=VISION["vit"], frames=3))
    frame = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        alone, (tokens, _) = model.modal_tokens(frame), model.modal(torch.stack([frame, frame, frame], 1))
    first, second, third = tokens.unflatten(1, (3, -1)).unbind(1)
    assert torch.allclose(first, alone + torch.tensor([0.0] * 16 + [1.0] * 16), atol=1e-5), "sin 0 and cos 0"
    assert (second - first).abs().max() > 0.5 and (third - second).abs().max() > 0.5


@pytest.mark.parametrize("fusion", ["concat", "attention", "cross-attention", "gated-cross-attention"])
def test_a_modality_that_a_row_has_not_is_not_looked_at(fusion: str) -> None:
    model = model_of(chain(fusion=fusion))
    for gate in getattr(model, "gates", ()):
        torch.nn.init.ones_(gate.attention_gate)
    pixels, sounds = torch.randn(2, 3, 32, 32), torch.randn(2, 20, 100)
    with torch.inference_mode():
        both = model(input_ids=IDS, pixel_values=pixels, audio_values=sounds).logits
        masks = {"audio": torch.tensor([True, False])}
        masked = model(input_ids=IDS, pixel_values=pixels, audio_values=sounds, masks=masks).logits
        alone = model(input_ids=IDS, pixel_values=pixels).logits
    assert torch.allclose(masked[0], both[0], atol=1e-5)
    assert torch.allclose(masked[1], alone[1], atol=1e-5)
    assert not torch.allclose(both[1], alone[1], atol=1e-4)


def test_features_of_a_modality_that_the_model_has_no_encoder_for_are_refused() -> None:
    model = model_of(chain(vision_config=VISION["vit"]))
    with pytest.raises(UnknownName, match="no encoder in this model for 'audio'; choose from: vision"):
        model(input_ids=IDS, features={"audio": torch.zeros(2, 4, 8)})


def test_leaving_out_modalities_while_training_leaves_one_in_every_row() -> None:
    torch.manual_seed(0)
    tokens = {"vision": torch.zeros(200, 4, 8), "audio": torch.zeros(200, 3, 8)}
    has_sound = torch.arange(200) < 100
    masks = left_out(tokens, {"audio": has_sound}, 0.5)
    seen, heard = masks["vision"].any(1), masks["audio"].any(1)
    assert (seen | heard).all()
    assert not heard[100:].any(), "what a row has not is not made up"
    assert 20 < (~heard[:100]).sum() < 60
    assert seen[100:].all()


def test_a_frozen_encoder_is_told_from_another_by_its_weights() -> None:
    one, same, other = (model_of(chain(vision_config=VISION["vit"]), seed).vision for seed in (1, 1, 2))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
