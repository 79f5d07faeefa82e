"""The real training loop on twelve made-up pictures."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors import safe_open

from mmdemo import catalog
from mmdemo.errors import InputError
from mmdemo.fusion.checkpoint import assemble
from mmdemo.fusion.config import FusionVisionConfig
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from mmdemo.starter import reward
from mmdemo.starter.captions import Row
from mmdemo.starter.features import compute, crops
from mmdemo.starter.recipe import Recipe, describe
from mmdemo.starter.supervised import batches, train
from mmdemo.starter.train import main, pins

TOY = Recipe(
    epochs=30, batch=4, captions=2, learning_rate=5e-3, vocabulary=290, layers=1, width=32, heads=2,
    dropout=0.0, feature_dropout=0.0, label_smoothing=0.0, average_decay=0.9, reward_steps=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder_folder() -> Path:
    return fetch(catalog.get("efficientnet-lite2"), Settings.load(), lambda progress: None, lambda: False)


@pytest.mark.weights
def test_the_loop_learns_and_leaves_a_checkpoint_without_the_encoder(tmp_path, encoder_folder, capsys) -> None:
    rows = [Row(Path(f"{i}.jpg"), ("A red dog.", "A red dog.")) for i in range(6)]
    rows += [Row(Path(f"{i}.jpg"), ("Two blue cats.", "Two blue cats.")) for i in range(6)]
    generator = np.random.default_rng(0)
    kinds = generator.normal(size=(2, 81, 1280)).astype(np.float16)
    features = np.repeat(kinds, 6, axis=0)
    model = train(TOY, rows, [features, features], rows, features, tmp_path, encoder_folder)
    assert {"config.json", "model.safetensors", "tokenizer.json", "training.json"} <= {
        path.name for path in tmp_path.iterdir()
    }
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["recipe"]["width"] == 32 and record["validation"]["cider"] > 0
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert not [name for name in file.keys() if name.startswith("vision.")]  # noqa: SIM118
    again = assemble(tmp_path, encoder_folder)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert describe(again, features[[0, 11]], tokenizer) == ["A red dog.", "Two blue cats."]
    assert torch.equal(again.vision.network.conv_stem.weight, model.vision.network.conv_stem.weight)
    assert "epoch 30: loss" in capsys.readouterr().out
    reward.train(TOY, rows, [features], rows, features, tmp_path, encoder_folder)
    assert "reward step 2" in capsys.readouterr().out


def test_every_picture_comes_once_an_epoch_and_labels_are_the_next_token() -> None:
    tokens = [[[1, 10 + i, 2], [1, 10 + i, 5, 2]] for i in range(8)]
    seen: list[int] = []
    for indices, inputs, labels in batches(tokens, TOY, 0, random.Random(0)):
        seen += indices
        assert inputs.shape == labels.shape == (4, 2, 3)
        for index, ids, targets in zip(indices, inputs.tolist(), labels.tolist(), strict=True):
            captions = sorted(zip(ids, targets, strict=True))
            assert captions == [([1, 10 + index, 0], [10 + index, 2, -100]), ([1, 10 + index, 5], [10 + index, 5, 2])]
    assert sorted(seen) == list(range(8))


def test_with_fewer_captions_a_batch_each_is_drawn_in_time() -> None:
    tokens = [[[1, 10 + caption, 2] for caption in range(5)] for _ in range(4)]
    one, rng = replace(TOY, captions=1), random.Random(0)
    drawn = {row[0][0] for _ in range(20) for _, _, labels in batches(tokens, one, 0, rng) for row in labels.tolist()}
    assert drawn == {10, 11, 12, 13, 14}


def test_features_are_computed_once_and_a_mirror_image_is_mirrored(tmp_path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    calls: list[np.ndarray] = []

    def encode(batch: np.ndarray) -> np.ndarray:
        calls.append(batch)
        return np.broadcast_to(batch.mean(axis=(1, 2))[:, :81, None], (len(batch), 81, 1280))

    config = FusionVisionConfig()
    files = [tmp_path / "a.png"]
    plain = compute(files, encode, config, tmp_path / "plain.npy")
    assert np.array_equal(compute(files, encode, config, tmp_path / "plain.npy"), plain)
    assert len(calls) == 1
    compute(files, encode, config, tmp_path / "mirror.npy", view=ImageOps.mirror)
    assert np.allclose(calls[1][0, 0, 0], calls[0][0, 0, 0][::-1])


def test_other_framings_differ_from_each_other_and_repeat_with_the_seed() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    view = crops()
    torch.manual_seed(0)
    first, second = view(image), view(image)
    assert first.size == second.size == (260, 260)
    assert first.tobytes() != second.tobytes()
    torch.manual_seed(0)
    assert view(image).tobytes() == first.tobytes()


def test_the_catalog_pins_the_shipped_checkpoint_and_the_recipe_is_the_one_that_made_it() -> None:
    shipped = Path(__file__).parents[2] / "assets" / "starter"
    row = catalog.get("starter-describer")
    assert tuple(pins(shipped)) == row.files
    assert row.bytes < 60_000_000
    record = json.loads((shipped / "training.json").read_text())
    assert record["recipe"] == asdict(Recipe())
    assert record["validation"]["cider"] >= 0.52


@pytest.mark.weights
def test_a_folder_without_a_validation_split_is_refused(tmp_path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"file": "a.jpg", "split": "train", "captions": ["A dog."]}\n')
    with pytest.raises(InputError, match="train and val"):
        main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
