"""Speech, captions, pictures and sounds are learned from, on checkpoints of a few thousand weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog, folders
from mmdemo.datasets.rows import Row
from mmdemo.media.audio import RATE, write_wav
from mmdemo.settings import Settings
from mmdemo.training import export
from mmdemo.training.config import TrainOptions
from mmdemo.training.models import base_of
from mmdemo.training.recipes.audio_classification import AudioClassification
from mmdemo.training.recipes.base import Given
from mmdemo.training.run import run
from tests.training import toys


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


def tones(folder: Path, count: int) -> list[dict[str, Any]]:
    """Recordings of a low or a high tone, each another one."""
    rows = []
    for place in range(count):
        high = place % 2
        times = np.arange(RATE // 2, dtype=np.float32) / RATE
        sound = 0.4 * np.sin(2 * np.pi * (2000 if high else 200) * times * (1 + place / 1000))
        write_wav(folder / f"{place}.wav", sound.astype(np.float32))
        rows.append({"file_name": f"{place}.wav", "text": "high tone" if high else "low tone"})
    return rows


def squares(folder: Path, count: int) -> list[dict[str, Any]]:
    """Pictures of one colour, each another shade."""
    rows = []
    for place in range(count):
        red = place % 2
        Image.new("RGB", (64, 64), (200 + place, 10, 10) if red else (10, 10, 200 + place)).save(
            folder / f"{place}.png"
        )
        rows.append({"file_name": f"{place}.png", "text": "something red" if red else "something blue"})
    return rows


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
@pytest.mark.parametrize(("method", "frozen"), [("full", True), ("lora", False)])
def test_whisper_learns_words_and_is_opened_by_the_studio(
    tmp_path: Path, settings: Settings, method: str, frozen: bool
) -> None:
    model = toys.whisper(tmp_path / "whisper")
    data = tmp_path / "data"
    data.mkdir()
    toys.table(data / "metadata.jsonl", tones(data, 24))
    folder = toys.a_run(
        tmp_path / "run", task="automatic-speech-recognition", data=str(data), model=str(model), method=method,
        frozen_encoder=frozen, batch=8, steps=60 if frozen else 3, evaluate_every=20, learning_rate=1e-2, dropout=0.0,
        validation=0.2, language="en",
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    losses = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert losses[-1] < losses[0] * (0.5 if frozen else 1)
    if frozen:
        assert report_of(folder)["after"]["metrics"]["wer"] <= 0.5 < report_of(folder)["before"]["metrics"]["wer"]
        assert len(list((Path(settings.home) / "cache" / "features").rglob("*.npy"))) == 24
    family = folders.family_of(folder / "model")
    assert (family.engine, family.tasks) == ("speech_seq2seq", ("transcribe",))

    from transformers import WhisperForConditionalGeneration

    tuned = WhisperForConditionalGeneration.from_pretrained(folder / "model")
    assert tuned.generation_config.language == "en"
    if method == "lora":
        out = export.export(folder, "ctranslate2")
        family = folders.family_of(out)
        assert (family.engine, family.tasks) == ("faster_whisper", ("transcribe",))
        assert export.export(folder, "adapter").joinpath("adapter_config.json").is_file()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_the_describer_learns_captions(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    toys.describer(tmp_path, monkeypatch)
    data = tmp_path / "data"
    data.mkdir()
    toys.table(data / "metadata.jsonl", squares(data, 30))
    folder = toys.a_run(
        tmp_path / "run", task="image-to-text", data=str(data), model=str(tmp_path / "describer"), method=method,
        batch=10, steps=60, evaluate_every=30, learning_rate=1e-2, validation=0.2,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    losses = [event["loss"] for event in toys.events_of(folder, "progress") if event.get("loss")]
    assert losses[-1] < (0.6 if method == "full" else 1) * losses[0]  # the toy's decoder knows nothing
    if method == "full":
        shown = toys.events_of(folder, "sample")[-1]
        assert shown["text"] == shown["target"] and shown["media"].endswith(".png")
    assert catalog.get(str(folder / "model")).backend == "fusion"
    assert (folder / "model" / "adapter").is_dir() == (method == "lora")

    from mmdemo.fusion.checkpoint import assemble

    assert assemble(folder / "model", tmp_path / "eye")


def test_the_loss_of_a_head_on_whispers_encoder_goes_through_the_model_it_is_given(
    tmp_path: Path, settings: Settings
) -> None:
    """What wraps a model for several processes exchanges gradients only of what was computed through it."""
    rows = [Row(str(place), audio=tmp_path / f"{place}.wav", label=label) for place, label in enumerate("abab")]
    options = TrainOptions(task="audio-classification", method="head")
    base = base_of(str(toys.whisper(tmp_path / "whisper")), settings)
    recipe = AudioClassification(Given(options, base, settings, rows=rows))
    calls: list[Any] = []
    recipe.model.register_forward_hook(lambda *given: calls.append(given))
    recipe.loss(recipe.model, {"features": torch.ones(2, 32), "labels": torch.tensor([0, 1])})
    assert len(calls) == 1


def test_sounds_are_told_apart_by_a_head_on_whispers_encoder(tmp_path: Path, settings: Settings) -> None:
    model = toys.whisper(tmp_path / "whisper")
    data = tmp_path / "data"
    data.mkdir()
    rows = [{"file_name": row["file_name"], "label": row["text"].split()[0]} for row in tones(data, 24)]
    toys.table(data / "metadata.jsonl", rows)
    folder = toys.a_run(
        tmp_path / "run", task="audio-classification", data=str(data), model=str(model), batch=8, steps=100,
        evaluate_every=50, learning_rate=5e-2, validation=0.25,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    assert report_of(folder)["after"]["metrics"]["accuracy"] >= 0.9

    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    tuned = AutoModelForAudioClassification.from_pretrained(folder / "model").eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder / "model")
    from mmdemo.datasets.rows import Row
    from mmdemo.training.recipes.hearing import samples

    given = extractor(samples(Row("", audio=data / "1.wav"), settings), sampling_rate=RATE, return_tensors="pt")
    assert tuned.config.id2label[int(tuned(**given).logits.argmax())] == "high"


@pytest.mark.weights
@pytest.mark.parametrize("method", ["head", "svm"])
def test_pictures_are_told_apart_by_a_head_on_the_starters_eye(tmp_path: Path, method: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [{"file_name": row["file_name"], "label": row["text"].split()[1]} for row in squares(data, 20)]
    toys.table(data / "metadata.jsonl", rows)
    folder = toys.a_run(
        tmp_path / "run", task="image-classification", data=str(data), method=method, epochs=20, validation=0.2
    )
    assert run(folder, Settings.load()) == 0
    assert report_of(folder)["after"]["metrics"]["accuracy"] == 1

    from transformers import AutoModelForImageClassification

    assert AutoModelForImageClassification.from_pretrained(folder / "model").config.num_labels == 2


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
def test_a_language_model_learns_answers_and_only_answers(tmp_path: Path, settings: Settings) -> None:
    model = toys.gpt(tmp_path / "gpt")
    rows = [
        {"messages": [{"role": "user", "content": f"{name} {place}"}, {"role": "assistant", "content": answer}]}
        for place in range(20)
        for name, answer in (("sky", "blue"), ("leaf", "green"))
    ]
    data = toys.table(tmp_path / "chat.jsonl", rows)
    folder = toys.a_run(
        tmp_path / "run", task="text-generation", data=str(data), model=str(model), batch=8, steps=160,
        learning_rate=1e-2, evaluate_every=160, evaluate_rows=4, validation=0.2, method="full",
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = report_of(folder)
    said = [(event["target"], event["text"]) for event in toys.events_of(folder, "sample")]
    assert report["after"]["metrics"]["rouge_l"] == 1, said
    assert report["after"]["metrics"]["rouge_l"] > report["before"]["metrics"]["rouge_l"]
    family = folders.family_of(folder / "model")
    assert (family.engine, family.tasks) == ("causal_lm", ("talk",))

    from mmdemo.datasets.rows import Row
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.models import base_of
    from mmdemo.training.recipes.base import Given
    from mmdemo.training.recipes.text_generation import TextGeneration

    row = Row("", messages=({"role": "user", "content": "sky"}, {"role": "assistant", "content": "blue"}))
    base = base_of(str(folder), settings)
    recipe = TextGeneration(Given(TrainOptions(task="text-generation", method="full"), base, settings, rows=(row,)))
    example = recipe.encode(row)
    counted = [one for one, label in zip(example["input_ids"], example["labels"], strict=True) if label != -100]
    assert recipe.tokenizer.decode(counted) == "blue<|im_end|>\n"


def test_scores_of_the_places_that_count_give_the_loss_of_all(tmp_path: Path, settings: Settings) -> None:
    import torch

    from mmdemo.datasets.rows import Row
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.models import base_of
    from mmdemo.training.recipes.base import Given
    from mmdemo.training.recipes.text_generation import TextGeneration

    rows = tuple(Row(str(n), text="ask " * n, targets=("answer " * (3 - n),)) for n in (1, 2))
    base = base_of(str(toys.gpt(tmp_path / "gpt")), settings)
    recipe = TextGeneration(Given(TrainOptions(task="text-generation", method="full"), base, settings, rows=rows))
    batch = recipe.batch(rows)
    made = recipe.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    whole = torch.nn.functional.cross_entropy(
        made[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )
    assert recipe.keeps
    assert float(recipe.loss(recipe.model, batch).detach()) == pytest.approx(float(whole.detach()), rel=1e-5)
    recipe.keeps = False
    assert float(recipe.loss(recipe.model, batch).detach()) == pytest.approx(float(whole.detach()), rel=1e-5)
