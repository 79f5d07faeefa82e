"""Two towers learn which sentence belongs to which picture or recording, and are opened by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel

from mmdemo import catalog
from mmdemo.chains import Compose
from mmdemo.errors import InputError, WeightsError
from mmdemo.fusion.aligned import Aligned
from mmdemo.fusion.retrieval import ranks
from mmdemo.settings import Settings
from mmdemo.training import composing, metrics
from mmdemo.training.config import TrainOptions
from mmdemo.training.evaluate import evaluate
from mmdemo.training.run import run
from mmdemo.ui.chain_training import task_of
from tests.fusion.chains import VISION
from tests.training import toys
from tests.training.test_media_recipes import tones

COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220), "anna": (20, 200, 20), "sea": (200, 200, 20)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


def coloured(folder: Path, count: int) -> Path:
    """Pictures of four colours, with two sentences each that name the colour."""
    folder.mkdir()
    rows = []
    for place in range(count):
        name = list(COLOURS)[place % 4]
        Image.new("RGB", (32, 32), tuple(min(255, part + place) for part in COLOURS[name])).save(
            folder / f"{place}.png"
        )  # type: ignore[arg-type]
        rows.append({"file_name": f"{place}.png", "captions": [f"the {name} runs", f"{name} {name}"]})
    toys.table(folder / "metadata.jsonl", rows)
    return folder


@pytest.mark.parametrize("loss", ["info-nce", "siglip"])
def test_pictures_and_sentences_find_one_another(tmp_path: Path, settings: Settings, loss: str) -> None:
    data, model = coloured(tmp_path / "data", 40), toys.towers(tmp_path / "towers")
    folder = toys.a_run(
        tmp_path / "run", task="text-image-retrieval", data=str(data), model=str(model), contrastive=loss, steps=60,
        evaluate_every=30, learning_rate=1e-2, validation=0.3,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = json.loads((folder / "report.json").read_text())
    assert report["before"]["metrics"]["to_text_1"] < report["after"]["metrics"]["to_text_1"] == 1
    assert set(report["after"]["metrics"]) == {
        "mean_recall",
        *(f"to_{x}_{k}" for x in ("text", "media") for k in (1, 5, 10)),
    }
    assert report["verdict"] == "better" and "rank 1 of" in report["changed"][0]["after"]

    found = evaluate(TrainOptions(task="text-image-retrieval", data=str(data), model=str(folder)), settings)
    assert found["metrics"]["to_text_1"] == 1 and found["rows"] == 40
    if loss == "siglip":
        return
    code = (
        "import sys, mmdemo.fusion.siamese\nfrom transformers import AutoModel\n"
        "model = AutoModel.from_pretrained(sys.argv[1]); print(type(model).__name__)\n"
        "from pathlib import Path\nfrom PIL import Image\nfrom mmdemo.fusion.aligned import Aligned\n"
        "both = Aligned.load(Path(sys.argv[1]))\n"
        "texts = both.text_vectors(['the red runs', 'the blue runs'])\n"
        "scores = both.media_vectors([Image.new('RGB', (50, 40), (220, 20, 20))]) @ texts.T\n"
        "print(scores[0, 0] > scores[0, 1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "model")], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["SiameseModel", "True"], done.stderr


def test_what_was_learned_before_is_where_going_on_begins(tmp_path: Path, settings: Settings) -> None:
    data, model = coloured(tmp_path / "data", 24), toys.towers(tmp_path / "towers")
    first = toys.a_run(
        tmp_path / "first", task="text-image-retrieval", data=str(data), model=str(model), steps=40, learning_rate=1e-2,
        validation=0.3,
    )  # fmt: skip
    again = toys.a_run(
        tmp_path / "again", task="text-image-retrieval", data=str(data), model=str(first), steps=1, validation=0.3,
        learning_rate=1e-7,
    )  # fmt: skip
    assert (run(first, settings), run(again, settings)) == (0, 0)
    ended, began = (json.loads((one / "report.json").read_text()) for one in (first, again))
    assert began["before"]["metrics"] == ended["after"]["metrics"]
    pictures = [Image.open(file).convert("RGB") for file in sorted(data.glob("*.png"))[:6]]
    vectors = [Aligned.load(one / "model").media_vectors(pictures) for one in (first, again)]
    assert np.allclose(*vectors, atol=1e-3)


def test_two_towers_that_were_composed_learn_from_pairs(tmp_path: Path, settings: Settings) -> None:
    AutoModel.from_config(VISION["vit"]).save_pretrained(tmp_path / "eye")
    options = Compose(vision=str(tmp_path / "eye"), text=str(toys.bert(tmp_path / "reader")), projector="siamese")
    shown = composing.chain(options, settings)
    assert shown.problems == () and [part.role for part in shown.parts][-1] == "space"
    place = composing.write(options, composing.place_for(options, settings), settings)
    model = Aligned.load(place).model
    assert place.name == "eye-reader-siamese" and model.config.fresh
    assert shown.frozen + shown.trainable == sum(one.numel() for one in model.parameters()) - model.bias.numel()

    spec = catalog.get(str(place))
    assert spec.tasks == ("align",)
    assert task_of(spec.key, ["image-to-text", "text-image-retrieval"]) == "text-image-retrieval"
    with pytest.raises(InputError, match="learn from pairs"):
        task_of(spec.key, ["image-to-text"])

    data = coloured(tmp_path / "data", 40)
    folder = toys.a_run(
        tmp_path / "run", task="text-image-retrieval", data=str(data), model=str(place), steps=60, learning_rate=1e-2,
        validation=0.3,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = json.loads((folder / "report.json").read_text())
    assert report["before"]["metrics"]["to_text_1"] < report["after"]["metrics"]["to_text_1"] == 1
    assert not Aligned.load(folder / "model").model.config.fresh, "going on begins with what was learned"


def test_nothing_is_left_of_two_towers_that_find_no_room(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    AutoModel.from_config(VISION["vit"]).save_pretrained(tmp_path / "eye")
    options = Compose(vision=str(tmp_path / "eye"), text=str(toys.bert(tmp_path / "reader")), projector="siamese")
    whole = Aligned.save

    def half(towers: Aligned, folder: Path) -> None:
        whole(towers, folder)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Aligned, "save", half)
    with pytest.raises(OSError, match="No space left"):
        composing.write(options, tmp_path / "made" / "towers", settings)
    assert list((tmp_path / "made").iterdir()) == []


def test_an_svm_has_nothing_to_write(tmp_path: Path, settings: Settings) -> None:
    AutoModel.from_config(VISION["vit"]).save_pretrained(tmp_path / "eye")
    options = Compose(vision=str(tmp_path / "eye"), projector="svm")
    assert "stands on EfficientNet-Lite2" in composing.chain(options, settings).problems[0]
    with pytest.raises(InputError, match="train image-classification with the method svm"):
        composing.write(options, tmp_path / "svm", settings)
    assert not (tmp_path / "svm").exists()


def test_recordings_and_sentences_find_one_another(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    reader, model, data = toys.bert(tmp_path / "reader"), toys.whisper(tmp_path / "whisper"), tmp_path / "data"
    row = dataclasses.replace(catalog.get("all-minilm-l6-v2"), files=(), sources=(catalog.Local(str(reader)),))
    monkeypatch.setitem(catalog.MODELS, "all-minilm-l6-v2", row)
    data.mkdir()
    toys.table(data / "metadata.jsonl", tones(data, 20))
    folder = toys.a_run(
        tmp_path / "run", task="text-audio-retrieval", data=str(data), model=str(model), steps=60, learning_rate=1e-2,
        validation=0.3,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    assert json.loads((folder / "report.json").read_text())["after"]["metrics"]["to_text_1"] == 1
    times = np.arange(8000, dtype=np.float32) / 16000
    low = (0.4 * np.sin(2 * np.pi * 200 * times)).astype(np.float32)
    both = Aligned.load(folder / "model")
    scores = both.media_vectors([low]) @ both.text_vectors(["low tone", "high tone"]).T
    assert scores[0, 0] > scores[0, 1]


def test_towers_that_have_learned_nothing_cannot_be_measured(tmp_path: Path, settings: Settings) -> None:
    data, model = coloured(tmp_path / "data", 4), toys.bert(tmp_path / "bert")
    with pytest.raises(InputError, match="has not learned what belongs together"):
        evaluate(TrainOptions(task="text-image-retrieval", data=str(data), model=str(model)), settings)


def test_a_sentence_of_two_pictures_is_no_rival_of_either() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.3]])
    belong = np.array([[True, False], [True, False], [False, True]])
    ahead, before = ranks(scores, belong)
    assert ahead.tolist() == [0, 0, 0] and before.tolist() == [0, 1]


def test_recall_counts_files_and_each_of_their_sentences() -> None:
    found = metrics.retrieval([(1, [1, 6]), (7, [11])]).values
    assert found["to_text_1"] == 0.5 and found["to_text_10"] == 1
    assert found["to_media_1"] == pytest.approx(1 / 3, abs=1e-6) and found["to_media_10"] == pytest.approx(
        2 / 3, abs=1e-6
    )
    assert found["mean_recall"] == pytest.approx((0.5 + 0.5 + 1 + 1 / 3 + 1 / 3 + 2 / 3) / 6, abs=1e-6)


@pytest.mark.parametrize(("name", "said"), [("", "is missing: "), ("odd", "has no place: 'odd'")])
def test_towers_with_another_tensor_are_refused_by_its_name(tmp_path: Path, name: str, said: str) -> None:
    from safetensors.torch import load_file, save_file

    folder = toys.towers(tmp_path / "towers")
    tensors = load_file(folder / "model.safetensors")
    if name:
        tensors[name] = torch.zeros(2)
    else:
        del tensors[max(tensors)]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=said):
        Aligned.load(folder)


def test_one_pair_alone_and_sentences_of_any_length_are_learned(tmp_path: Path, settings: Settings) -> None:
    data, model = coloured(tmp_path / "data", 1), toys.towers(tmp_path / "towers")
    row = {"file_name": "0.png", "captions": ["red " * 10_000, "", "the red runs"]}
    toys.table(data / "metadata.jsonl", [row, {"file_name": "0.png", "captions": [" "]}])
    folder = toys.a_run(
        tmp_path / "run", task="text-image-retrieval", data=str(data), model=str(model), steps=3, learning_rate=1e-2
    )
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    assert "row 2 is left out" in " ".join(event["message"] for event in toys.events_of(folder, "note"))
    vectors = Aligned.load(folder / "model").text_vectors(["red " * 10_000, "blue"])
    assert np.isfinite(vectors).all()


def test_a_picture_that_cannot_be_read_is_named_by_its_row(tmp_path: Path, settings: Settings) -> None:
    data, model = coloured(tmp_path / "data", 6), toys.towers(tmp_path / "towers")
    (data / "2.png").write_bytes(b"no picture")
    folder = toys.a_run(
        tmp_path / "run", task="text-image-retrieval", data=str(data), model=str(model), steps=1, validation=0.3
    )
    assert run(folder, settings) == 1
    said = toys.events_of(folder)[-1]["message"]
    assert "row 3" in said and "2.png" in said
