"""What was trained to classify or to tag is used: by the task, on the command line, from a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo import torchvision_ops
from mmdemo.cli import main
from mmdemo.errors import InputError, Unsupported
from mmdemo.media.audio import RATE, write_wav
from mmdemo.results import Classification
from mmdemo.runtime.classifying import entities, words
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.tasks.classify import Options
from tests.training import toys


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier of texts, a tagger, a classifier of sounds and two of pictures, each as training saves them."""
    torchvision_ops.prepare()
    import torch
    from transformers import (
        AutoConfig,
        AutoFeatureExtractor,
        AutoModelForAudioClassification,
        AutoModelForImageClassification,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        TimmWrapperConfig,
        ViTImageProcessor,
    )

    root = tmp_path_factory.mktemp("classifiers")
    bert, whisper = toys.bert(root / "bert"), toys.whisper(root / "whisper")
    torch.manual_seed(0)
    tags = {"id2label": {0: "O", 1: "B-PER", 2: "I-PER"}, "num_labels": 3}
    made: dict[str, Any] = {
        "text": AutoModelForSequenceClassification.from_pretrained(bert, id2label={0: "likes", 1: "hates"}),
        "tags": AutoModelForTokenClassification.from_pretrained(bert, **tags),
        "audio": AutoModelForAudioClassification.from_pretrained(whisper, id2label={0: "high", 1: "low"}),
        "image": AutoModelForImageClassification.from_config(
            AutoConfig.for_model(
                "vit", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32,
                patch_size=16, id2label={0: "cat", 1: "dog", 2: "cow"},
            )
        ),
        "timm": AutoModelForImageClassification.from_config(
            TimmWrapperConfig(
                architecture="test_efficientnet", num_labels=2, id2label={0: "ill", 1: "well"},
                pretrained_cfg={"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3},
            )
        ),
    }  # fmt: skip
    for name, model in made.items():
        model.save_pretrained(root / name)
    for name in ("text", "tags"):
        AutoTokenizer.from_pretrained(bert).save_pretrained(root / name)
    AutoFeatureExtractor.from_pretrained(whisper).save_pretrained(root / "audio")
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(root / "image")
    return {name: root / name for name in made}


@pytest.fixture
def studio(tmp_path: Path) -> Any:
    made = Studio(Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True))
    yield made
    made.close()


def found(studio: Studio, files: list[Path], **options: Any) -> list[Classification]:
    return [one for one in studio.run("classify", files, Options(**options)) if isinstance(one, Classification)]


def test_a_text_gets_the_shares_that_plain_transformers_gives(studio: Studio, models: dict[str, Path]) -> None:
    from transformers import pipeline

    (one,) = found(studio, [], model=str(models["text"]), text="tom hates the sea")
    (plain,) = pipeline("text-classification", model=str(models["text"]), top_k=None)(["tom hates the sea"])
    assert [(label.name, label.probability) for label in one.labels] == [
        (label["label"], pytest.approx(label["score"], abs=1e-5)) for label in plain
    ]
    assert one.text == one.labels[0].name and not one.entities


def test_pictures_and_recordings_are_classified_and_a_bad_one_does_not_end_the_batch(
    studio: Studio, models: dict[str, Path], tmp_path: Path
) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    write_wav(tmp_path / "c.wav", np.sin(np.arange(RATE, dtype=np.float32) / 9).astype(np.float32))
    for name, classes in (("image", {"cat", "dog", "cow"}), ("timm", {"ill", "well"})):
        bad, good = sorted(found(studio, [tmp_path / "a.png", tmp_path / "b.png"], model=str(models[name])),
                           key=lambda one: not one.error)  # fmt: skip
        assert bad.error and {label.name for label in good.labels} == classes
        assert sum(label.probability for label in good.labels) == pytest.approx(1, abs=1e-5)
    (heard,) = found(studio, [tmp_path / "c.wav"], model=str(models["audio"]), labels=1)
    assert len(heard.labels) == 1 and heard.labels[0].name in ("high", "low")


def test_a_tagger_says_where_names_stand_also_in_a_long_text(studio: Studio, models: dict[str, Path]) -> None:
    text = "anna runs to the sea, " * 40
    (one,) = found(studio, [], model=str(models["tags"]), text=text)
    assert one.entities and not one.labels and one.text == text
    assert all(text[entity.start : entity.end] == entity.text and entity.kind == "PER" for entity in one.entities)
    assert one.entities[-1].end > 400, "what stands behind the longest text is read too"


def test_entities_are_those_that_seqeval_counts() -> None:
    text = "Ada Lovelace met Tom"
    spans = words(text)
    assert [text[start:end] for start, end in spans] == ["Ada", "Lovelace", "met", "Tom"]
    tags = [
        (*span, tag, sure)
        for span, tag, sure in zip(spans, ("B-PER", "I-PER", "O", "I-PER"), (0.9, 0.8, 1, 0.7), strict=True)
    ]
    assert [(one.text, one.kind, one.probability) for one in entities(text, tags)] == [
        ("Ada Lovelace", "PER", 0.8), ("Tom", "PER", 0.7),
    ]  # fmt: skip
    assert [text[a:b] for text in ("北京。OK",) for a, b in words(text)] == ["北", "京", "。", "OK"]


def test_what_does_not_go_together_is_refused(studio: Studio, models: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="nothing to classify"):
        found(studio, [], model=str(models["text"]))
    with pytest.raises(InputError, match="classifies no texts"):
        found(studio, [], model=str(models["image"]), text="a cat")
    with pytest.raises(Unsupported, match="does not name what is in a picture"):
        found(studio, [], model="whisper-base", text="a cat")


def test_the_command_line_classifies_with_the_folder_of_a_run(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setenv("MMDEMO_HOME", str(tmp_path / "home"))
    run = tmp_path / "run"
    shutil.copytree(models["text"], run / "model")
    (run / "run.json").write_text("{}")
    (tmp_path / "a.txt").write_text("anna likes berlin")
    assert (
        main(["classify", str(tmp_path / "a.txt"), "--text", "tom hates the sea", "--model", str(run), "--json"]) == 0
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["file"]).name for line in lines] == ["text", "a.txt"]
    assert {label["name"] for label in lines[0]["labels"]} == {"likes", "hates"} and lines[0]["entities"] == []
    assert main(["classify", str(tmp_path / "gone.txt"), "--model", str(run)]) == 1
    assert main(["classify", "--text", "anna runs", "--model", str(models["tags"])]) == 0
