"""The chain encoder → projector → fusion → language model, on a toy that runs the real code."""

from __future__ import annotations

import random

import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForImageTextToText

from mmdemo.errors import UnknownName
from mmdemo.fusion.fuse import concat, shared_prefix_mask
from mmdemo.fusion.model import FusionModel
from tests.fusion.toys import toy_config, toy_model


def test_modal_tokens_come_before_text_tokens() -> None:
    modal, text = torch.zeros(2, 4, 8), torch.ones(2, 3, 8)
    fused, beside = concat(modal, text)
    assert beside is None
    assert fused.shape == (2, 7, 8)
    assert fused[:, :4].eq(0).all() and fused[:, 4:].eq(1).all()


@pytest.mark.parametrize("projector", ["linear", "mlp"])
def test_logits_cover_the_text_and_depend_on_the_picture(projector: str) -> None:
    model = toy_model(projector)
    ids = torch.tensor([[1, 5, 6]])
    with torch.inference_mode():
        one = model(input_ids=ids, features=torch.randn(1, 4, 256)).logits
        other = model(input_ids=ids, features=torch.randn(1, 4, 256)).logits
    assert one.shape == (1, 3, 50)
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("fusion", ["concat", "cross-attention"])
def test_features_computed_once_give_the_same_logits_as_the_picture(fusion: str) -> None:
    model = toy_model(fusion=fusion)
    pixels, ids = torch.randn(2, 3, 64, 64), torch.tensor([[1, 5, 6], [1, 7, 8]])
    with torch.inference_mode():
        features, classes = model.vision(pixels)
        assert features.shape == (2, 4, 256) and classes.shape == (2, 10)
        assert torch.equal(
            model(input_ids=ids, pixel_values=pixels).logits, model(input_ids=ids, features=features).logits
        )


@pytest.mark.parametrize("fusion", ["concat", "cross-attention"])
def test_captions_sharing_a_prefix_lose_what_separate_sequences_lose(fusion: str) -> None:
    model = toy_model(fusion=fusion)
    features = torch.randn(2, 4, 256)
    inputs = torch.tensor([[[1, 5, 6, 7], [1, 8, 9, 0]], [[1, 10, 0, 0], [1, 11, 12, 13]]])
    valid = torch.tensor([[[1, 1, 1, 1], [1, 1, 1, 0]], [[1, 1, 0, 0], [1, 1, 1, 1]]]).bool()
    mask, positions = shared_prefix_mask(model.prefix_length(features), valid)
    with torch.inference_mode():
        together = model(
            input_ids=inputs.flatten(1), features=features, attention_mask=mask, position_ids=positions
        ).logits.reshape(2, 2, 4, 50)
        apart = model(input_ids=inputs.flatten(0, 1), features=features.repeat_interleave(2, 0)).logits
    assert torch.allclose(together[valid], apart.reshape(2, 2, 4, 50)[valid], atol=1e-5)


def test_a_caption_never_sees_another_caption() -> None:
    mask, _ = shared_prefix_mask(2, torch.ones(1, 2, 3, dtype=torch.bool))
    first, second = slice(2, 5), slice(5, 8)
    assert not mask[0, 0, second, first].any() and not mask[0, 0, first, second].any()
    assert mask[0, 0, first, :2].all() and mask[0, 0, second, :2].all()


def test_a_frozen_encoder_keeps_its_batch_statistics_while_the_rest_trains() -> None:
    model = toy_model()
    model.vision.freeze()
    before = {name: value.clone() for name, value in model.vision.state_dict().items()}
    model.train()
    loss = model(
        input_ids=torch.tensor([[1, 5], [1, 6]]),
        pixel_values=torch.randn(2, 3, 64, 64),
        labels=torch.tensor([[5, 2], [6, 2]]),
    ).loss
    loss.backward()
    assert model.vision_projector[0].weight.grad is not None
    assert all(torch.equal(before[name], value) for name, value in model.vision.state_dict().items())


@pytest.mark.parametrize("fusion", ["concat", "cross-attention"])
def test_it_learns_to_tell_two_pictures_apart_and_generates_what_it_learned(fusion: str) -> None:
    random.seed(0)
    model = toy_model(seed=3, fusion=fusion)
    model.vision.freeze()
    features = torch.randn(2, 4, 256)
    inputs, labels = torch.tensor([[1, 10, 11], [1, 20, 21]]), torch.tensor([[10, 11, 2], [20, 21, 2]])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(60):
        loss = model(input_ids=inputs, features=features, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    generated = model.generate(features=features, max_new_tokens=5, do_sample=False)
    assert generated.tolist() == [[10, 11, 2], [20, 21, 2]]


@pytest.mark.parametrize("fusion", ["concat", "cross-attention"])
def test_saved_and_loaded_by_plain_transformers_it_gives_the_same_logits(fusion: str, tmp_path) -> None:
    model = toy_model(fusion=fusion)
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).model_type == "mmdemo_fusion"
    again = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    assert isinstance(again, FusionModel)
    pixels, ids = torch.randn(1, 3, 64, 64), torch.tensor([[1, 4]])
    with torch.inference_mode():
        assert torch.equal(
            model(input_ids=ids, pixel_values=pixels).logits, again(input_ids=ids, pixel_values=pixels).logits
        )


def test_an_unknown_projector_is_refused_with_the_choices() -> None:
    with pytest.raises(UnknownName, match="no projector 'magic'; choose from: linear, mlp"):
        FusionModel(toy_config("magic"))


def test_generate_without_a_picture_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="pixel_values or features"):
        toy_model().generate()


def test_files_have_the_names_that_they_always_had(tmp_path) -> None:
    toy_model().save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118
    assert names == {"vision", "projector", "norm", "language_model"}
