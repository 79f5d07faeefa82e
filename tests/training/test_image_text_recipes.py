"""Texts with pictures: what neither tells alone is learned from both, and is used with and without the picture."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdemo import catalog, folders
from mmdemo.cli import main
from mmdemo.datasets.rows import Row
from mmdemo.results import Classification
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.tasks.classify import Options
from mmdemo.training.config import TrainOptions
from mmdemo.training.evaluate import evaluate
from mmdemo.training.run import run
from tests.training import toys
from tests.training.test_exports import finished, ran, unpacked

COLOURS = {"red": (230, 20, 20), "blue": (20, 20, 230)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The two-layer BERT; the starter's eye is a network of timm that knows nothing, as which it tells colours."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    eye = tmp_path / "eye"
    eye.mkdir()
    network = timm.create_model("test_efficientnet").train()
    for _ in range(30):  # so that its layers have statistics to go by
        network(torch.randn(32, 3, 32, 32) * 0.2 + torch.rand(32, 3, 1, 1) * 2 - 1)
    save_file(network.state_dict(), eye / "model.safetensors")
    looks = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "num_classes": 1000}
    (eye / "config.json").write_text(json.dumps({"architecture": "test_efficientnet", "pretrained_cfg": looks}))
    row = dataclasses.replace(catalog.get("efficientnet-lite2"), files=(), sources=(catalog.Local(str(eye)),))
    monkeypatch.setitem(catalog.MODELS, "efficientnet-lite2", row)
    return toys.bert(tmp_path / "bert")


def both(folder: Path, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Whether the colour that the text says is that of the picture: neither has a trace of it alone."""
    folder.mkdir(parents=True)
    draw, rows = random.Random(seed), []
    for place in range(count):
        said, seen = (("red", "blue")[bit] for bit in (place % 2, place // 2 % 2))
        shade = tuple(min(255, one + draw.randint(0, 25)) for one in COLOURS[seen])
        Image.new("RGB", (32, 32), shade).save(folder / f"{seed}-{place}.png")
        rest = " ".join(draw.choices(("anna", "berlin", "sea", "runs"), k=2))
        rows.append({
            "file_name": f"{seed}-{place}.png", "text": f"{said} {rest}", "label": "same" if said == seen else "other"
        })  # fmt: skip
    toys.table(folder / "metadata.jsonl", rows)
    return rows


def learned(folder: Path, task: str, data: Path, model: Path | str, settings: Settings, **more: Any) -> Path:
    usual = {"batch": 16, "steps": 120, "learning_rate": 5e-3, "evaluate_every": 40, "dropout": 0.0, "validation": 0.25}
    made = toys.a_run(folder, task=task, data=str(data), model=str(model), **{**usual, **more})
    assert run(made, settings) == 0, toys.events_of(made)[-1]
    return made


def after(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "report.json").read_text("utf-8"))["after"]["metrics"]
    return found


def asked(settings: Settings, files: list[Path], **options: Any) -> list[Classification]:
    studio = Studio(settings)
    try:
        return [one for one in studio.run("classify", files, Options(**options)) if isinstance(one, Classification)]
    finally:
        studio.close()


def test_what_only_text_and_picture_together_tell_is_learned(
    tmp_path: Path, settings: Settings, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    both(data, 160)
    fused = learned(tmp_path / "fused", "image-text-classification", data, model, settings)
    alone = learned(tmp_path / "alone", "text-classification", data, model, settings, steps=60)
    assert after(fused)["accuracy"] >= 0.95
    assert after(alone)["accuracy"] <= 0.75

    both(tmp_path / "new", 40, seed=1)
    result = str(fused / "model")
    found = evaluate(TrainOptions("image-text-classification", str(tmp_path / "new"), str(fused)), settings)
    assert found["rows"] == 40 and found["metrics"]["accuracy"] >= 0.95
    blind = toys.table(tmp_path / "blind.jsonl", [
        {"text": row["text"], "label": row["label"]} for row in both(tmp_path / "more", 40, seed=2)
    ])  # fmt: skip
    found = evaluate(TrainOptions("image-text-classification", str(blind), str(fused)), settings)
    assert found["metrics"]["accuracy"] <= 0.75, "a row without a picture is read, and guessed at"

    assert folders.family_of(fused / "model").tasks == ("classify-image-text",)
    red, blue = tmp_path / "new" / "1-0.png", tmp_path / "new" / "1-2.png"
    (tmp_path / "bad.png").write_text("no picture")
    three = asked(settings, [red, tmp_path / "bad.png", blue], model=result, text="red berlin sea")
    said = {Path(one.file).name: one.error or one.text for one in three}
    assert (said["1-0.png"], said["1-2.png"]) == ("same", "other") and "bad.png" in said["bad.png"]
    (without,) = asked(settings, [], model=result, text="red berlin sea")
    assert without.file == "text" and len(without.labels) == 2
    (seen,) = asked(settings, [red], model=result)
    assert {label.name for label in seen.labels} == {"same", "other"}

    again = learned(tmp_path / "again", "image-text-classification", data, result, settings, steps=1)
    assert after(again)["accuracy"] >= 0.9, "what has learned goes on"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
@pytest.mark.parametrize("method", ["lora", "head"])
def test_the_encoder_of_the_text_stays_as_it_is_but_for_adapters(
    tmp_path: Path, settings: Settings, model: Path, method: str
) -> None:
    from mmdemo.training.recipes.image_text import ImageTextClassification

    data = tmp_path / "data"
    both(data, 64)
    folder = learned(tmp_path / "run", "image-text-classification", data, model, settings, method=method, steps=140)
    assert after(folder)["accuracy"] >= 0.9
    assert (folder / "model" / "adapter").is_dir() == (method == "lora")
    assert ImageTextClassification.methods.keys() == {"full", "lora", "head"}

    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    tuned = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    was = AutoModel.from_pretrained(model).state_dict()
    name = "encoder.layer.0.attention.self.query.weight"
    assert torch.equal(tuned.text.network.state_dict()[name], was[name]) == (method == "head")


def test_a_tagger_looks_at_the_picture(tmp_path: Path, settings: Settings, model: Path) -> None:
    """Whether Paris is a person or a place is seen alone."""
    data = tmp_path / "data"
    data.mkdir()
    draw, rows, kinds = random.Random(0), [], {"red": "B-PER", "blue": "B-LOC"}
    for place in range(120):
        seen = ("red", "blue")[place % 2]
        shade = tuple(min(255, one + draw.randint(0, 25)) for one in COLOURS[seen])
        Image.new("RGB", (32, 32), shade).save(data / f"{place}.png")
        words = ["paris", *draw.choices(["runs", "to", "the", "seaside"], k=3)]
        draw.shuffle(words)
        tags = [kinds[seen] if word == "paris" else "O" for word in words]
        rows.append({"file_name": f"{place}.png", "tokens": words, "ner_tags": tags})
    toys.table(data / "metadata.jsonl", rows)
    fused = learned(tmp_path / "fused", "image-text-token-classification", data, model, settings)
    alone = learned(tmp_path / "alone", "token-classification", data, model, settings, steps=60)
    assert after(fused)["micro_f1"] >= 0.95
    assert after(alone)["micro_f1"] <= 0.75
    assert "LOC" in json.loads((fused / "report.json").read_text("utf-8"))["report"]
    result = str(fused / "model")
    for picture, kind in (("0.png", "PER"), ("1.png", "LOC")):
        (one,) = asked(settings, [data / picture], model=result, text="the paris runs")
        assert [(entity.text, entity.kind) for entity in one.entities] == [("paris", kind)]
        assert one.text == "the paris runs"
    (one,) = asked(settings, [], model=result, text="the paris runs")
    assert not one.labels


def test_without_any_picture_the_task_of_text_alone_is_named(
    tmp_path: Path, settings: Settings, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tweets = "".join(f"IMGID:{place}\nanna\tB-PER\nruns\tO\n\n" for place in range(20))
    (tmp_path / "tweets.txt").write_text(tweets)
    folder = toys.a_run(
        tmp_path / "run", task="image-text-token-classification", data=str(tmp_path / "tweets.txt"), model=str(model)
    )
    assert run(folder, settings) == 1
    assert "choose token-classification" in toys.events_of(folder)[-1]["message"]
    assert main(["data", "check", str(tmp_path / "tweets.txt")]) == 0
    assert "the pictures of 20 sentences are not there; those are read as text alone" in capsys.readouterr().out


def test_the_zips_run_without_the_studio(tmp_path: Path, settings: Settings, model: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (40, 30), (200, 10, 10)).save(picture)
    told = tuple(Row("", image=picture, text="anna runs", label=name) for name in ("loud", "wool"))
    tagged = (Row("", image=picture, tokens=("anna", "runs"), tags=("B-PER", "O")),)
    calls: list[tuple[Any, ...]] = []
    for task, rows in (("image-text-classification", told), ("image-text-token-classification", tagged)):
        place = unpacked(finished(tmp_path / task, task, model, settings, rows), tmp_path / f"{task}-away")
        calls += [(place, "anna runs", str(picture)), (place, "anna runs")]
    seen, blind, tags, _ = ran(*calls)
    assert {seen, blind} <= {"loud", "wool"}
    assert [line.split("\t")[0] for line in tags.splitlines()] == ["[CLS]", "anna", "runs", "[SEP]"]
