"""Alignment: two towers, a linear SVM, and what says how good they are."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from mmdemo.errors import UnknownName, WeightsError
from mmdemo.fusion import svm
from mmdemo.fusion.aligned import Aligned
from mmdemo.fusion.config import SiameseConfig
from mmdemo.fusion.retrieval import ranks
from mmdemo.fusion.siamese import LOSSES, SiameseModel, info_nce, siglip
from mmdemo.fusion.spread import spread
from tests.fusion.chains import AUDIO, READER, VISION
from tests.fusion.synthetic import SCENES, TOKENIZER, Made


def towers(media, loss: str = "info-nce", **more) -> SiameseModel:
    torch.manual_seed(0)
    reader = READER.to_dict() | {"vocab_size": len(TOKENIZER)}
    return SiameseModel(SiameseConfig(media_config=media.to_dict(), text_config=reader, size=16, loss=loss, **more))


def test_info_nce_is_the_mean_cross_entropy_of_rows_and_columns() -> None:
    left, right = (torch.nn.functional.normalize(torch.randn(3, 4), dim=1) for _ in range(2))
    scores = (5 * left @ right.T).numpy().astype(float)
    rows = [np.log(np.exp(scores[i]).sum()) - scores[i, i] for i in range(3)]
    columns = [np.log(np.exp(scores[:, i]).sum()) - scores[i, i] for i in range(3)]
    expected = (np.mean(rows) + np.mean(columns)) / 2
    assert info_nce(left, right, torch.tensor(5.0), torch.tensor(3.0)).item() == pytest.approx(expected, abs=1e-5)


def test_siglip_judges_each_pair_by_itself() -> None:
    left, right = (torch.nn.functional.normalize(torch.randn(3, 4), dim=1) for _ in range(2))
    scores = (10 * left @ right.T - 2).numpy().astype(float)
    signs = 2 * np.eye(3) - 1
    expected = np.log1p(np.exp(-signs * scores)).sum() / 3
    assert siglip(left, right, torch.tensor(10.0), torch.tensor(-2.0)).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sense", ["vision", "audio"])
def test_two_towers_learn_which_sentence_belongs_to_which_file(sense: str, loss: str) -> None:
    made = Made.of(1, seed=0)
    words = {"vision": lambda scene: f"{scene.colour} {scene.move}", "audio": lambda scene: scene.tone}[sense]
    first = {words(scene): row for row, scene in reversed(list(enumerate(SCENES)))}
    rows, texts = list(first.values()), TOKENIZER(list(first), padding=True, return_tensors="pt")
    whole = made.pixel_values[:, 0] if sense == "vision" else made.audio_values
    config = deepcopy(VISION["fusion_patches"] if sense == "vision" else AUDIO["fusion_patches"][0])
    config.width = whole.shape[-1]
    model = towers(config, loss)
    given = {"values": whole[rows], "input_ids": texts["input_ids"], "attention_mask": texts["attention_mask"]}
    own = np.eye(len(rows), dtype=bool)
    before, _ = ranks(model.eval()(**given)["scores"].detach().numpy(), own)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    model.train()
    for _ in range(300):
        model(**given)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    to_text, to_media = ranks(model.eval()(**given)["scores"].detach().numpy(), own)
    assert not to_text.any() and not to_media.any() and before.any()


def test_padding_of_a_sentence_does_not_move_it() -> None:
    model = towers(VISION["vit"]).eval()
    with torch.inference_mode():
        short = model.embed_text(torch.tensor([[5, 6]]), torch.ones(1, 2, dtype=torch.long))
        padded = model.embed_text(torch.tensor([[5, 6, 0]]), torch.tensor([[1, 1, 0]]))
    assert torch.allclose(short, padded, atol=1e-5)
    assert short.norm().item() == pytest.approx(1, abs=1e-5)


def test_towers_are_saved_and_loaded_by_plain_transformers(tmp_path) -> None:
    model, pixels = towers(VISION["vit"], "siglip").eval(), torch.randn(2, 3, 32, 32)
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        assert torch.equal(again.embed_media(pixels), model.embed_media(pixels))
    assert again.scale.exp().item() == pytest.approx(10) and again.bias.item() == -10


@pytest.fixture
def encoders(tmp_path):
    folders = tmp_path / "seen", tmp_path / "read"
    reader = type(READER)(**READER.to_dict() | {"vocab_size": len(TOKENIZER)})
    for folder, config in zip(folders, (VISION["vit"], reader), strict=True):
        torch.manual_seed(1)
        AutoModel.from_config(config).save_pretrained(folder)
    TOKENIZER.save_pretrained(folders[1])
    return folders


def test_what_was_learned_is_kept_without_the_encoders_and_joined_with_them_again(tmp_path, encoders) -> None:
    whole = Aligned.begun(*encoders, size=16)
    whole.save_learned(tmp_path / "small")
    kept = load_file(tmp_path / "small" / "model.safetensors")
    assert sorted(kept) == [
        "bias", "media_projector.bias", "media_projector.weight", "scale", "text_projector.bias",
        "text_projector.weight",
    ]  # fmt: skip
    again = Aligned.joined(tmp_path / "small", *encoders)
    words = ["red comes from the left", "green"]
    assert np.allclose(again.text_vectors(words), whole.text_vectors(words), atol=2e-3)
    picture = [Image.new("RGB", (32, 32), "red")]
    assert np.allclose(again.media_vectors(picture), whole.media_vectors(picture), atol=2e-3)


def test_projectors_of_another_encoder_or_with_a_missing_tensor_are_refused(tmp_path, encoders) -> None:
    Aligned.begun(*encoders, size=16).save_learned(tmp_path / "small")
    weights = tmp_path / "small" / "model.safetensors"
    torch.manual_seed(2)
    AutoModel.from_config(VISION["vit"]).save_pretrained(tmp_path / "other")
    with pytest.raises(WeightsError, match=r"belong to another encoder than the one in .*other: fetch"):
        Aligned.joined(tmp_path / "small", tmp_path / "other", encoders[1])
    save_file({name: tensor for name, tensor in load_file(weights).items() if name != "scale"}, weights)
    with pytest.raises(WeightsError, match="does not fit its config: look at 'scale'"):
        Aligned.joined(tmp_path / "small", *encoders)


def test_a_channel_that_hardly_varies_counts_for_as_little_as_it_says() -> None:
    features = np.random.default_rng(0).normal(5, 1, (50, 4)).astype(np.float32)
    features[:, 2] = 3 + 1e-6 * features[:, 2]
    mean, deviation = spread(features)
    assert np.allclose(mean, features.mean(0)) and np.allclose(deviation[[0, 1, 3]], features.std(0)[[0, 1, 3]])
    assert deviation[2] == pytest.approx(0.01 * features.std(0).mean())
    assert np.all(spread(features[:1])[1] == 1), "of one row nothing is known"


def test_an_unknown_loss_is_refused_with_the_choices() -> None:
    with pytest.raises(UnknownName, match="no loss 'triplet'; choose from: info-nce, siglip"):
        towers(VISION["vit"], "triplet")


def test_a_rank_counts_who_is_nearer() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.1, 0.2, 0.7]])
    to_text, to_media = ranks(scores, np.eye(3, dtype=bool))
    assert (to_text.tolist(), to_media.tolist()) == ([0, 1, 0], [0, 0, 0])


def test_a_file_with_several_texts_is_found_by_any_and_each_text_finds_its_file() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.2], [0.6, 0.3, 0.4, 0.8]])
    to_text, to_media = ranks(scores, np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool))
    assert (to_text.tolist(), to_media.tolist()) == ([0, 0], [1, 0, 1, 0])


def test_scores_that_are_all_the_same_find_nothing() -> None:
    to_text, to_media = ranks(np.zeros((20, 20)), np.eye(20, dtype=bool))
    assert {*to_text.tolist(), *to_media.tolist()} == {19}


def test_a_linear_svm_tells_tones_apart() -> None:
    train, test = Made.of(4, seed=0), Made.of(2, seed=1)
    tones = sorted({scene.tone for scene in train.scenes})
    numbers = [np.array([tones.index(scene.tone) for scene in part.scenes]) for part in (train, test)]
    weights, bias = svm.fit(train.audio_values.flatten(1).numpy(), numbers[0])
    assert weights.shape[0] == bias.shape[0] == 3
    said = (test.audio_values.flatten(1).numpy() @ weights.T + bias).argmax(1)
    assert np.mean(said == numbers[1]) > 0.9


def test_of_two_classes_each_has_its_own_side() -> None:
    features = np.array([[0.0, 1], [0.1, 1], [1, 0], [1, 0.1]])
    weights, bias = svm.fit(features, np.array([0, 0, 1, 1]))
    scores = features @ weights.T + bias
    assert scores.argmax(1).tolist() == [0, 0, 1, 1]
    assert np.allclose(scores.sum(1), 0, atol=1e-5)


def test_units_and_offsets_of_the_features_change_nothing() -> None:
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(60, 5)), np.arange(60) % 3
    features[:, 0] += labels
    moved = 100 * features + 7
    one, other = svm.fit(features, labels), svm.fit(moved, labels)
    assert np.allclose(features @ one[0].T + one[1], moved @ other[0].T + other[1], atol=1e-2)


def test_balanced_classes_count_a_rare_one_as_much_as_a_common_one() -> None:
    features, labels = np.r_[np.linspace(-1, 1, 95), np.linspace(0.5, 1.5, 5)][:, None], np.r_[[0] * 95, [1] * 5]

    def found(balanced: bool) -> int:
        weights, bias = svm.fit(features, labels, balanced)
        return int((features[95:] @ weights.T + bias).argmax(1).sum())

    assert found(balanced=True) > found(balanced=False)
