"""An SVM takes the place of a learned head: fitted at once, measured, kept, and opened as any classifier is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmdemo.errors import InputError, UnknownName
from mmdemo.media.audio import RATE, write_wav
from mmdemo.results import Classification
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.training import export, ranges, recipes
from mmdemo.training.config import TrainOptions
from mmdemo.training.evaluate import evaluate
from mmdemo.training.models import settled
from mmdemo.training.recipes.audio_classification import AudioClassification
from mmdemo.training.run import run
from tests.training import toys

KINDS = ("high", "low", "middle")
TONES = {"low": 200, "middle": 900, "high": 2500}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Thirty recordings of three tones, a fifth of them held out."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for place in range(30):
        kind = KINDS[place % 3]
        times = np.arange(RATE // 2, dtype=np.float32) / RATE
        write_wav(folder / f"{place}.wav", (0.4 * np.sin(2 * np.pi * TONES[kind] * times * (1 + place / 1000))))
        rows.append({"file_name": f"{place}.wav", "label": kind, "split": "train" if place < 24 else "val"})
    toys.table(folder / "metadata.jsonl", rows)
    return folder


def a_run(tmp_path: Path, data: Path, name: str = "run", **more: Any) -> Path:
    model = tmp_path / "whisper"
    model = model if model.exists() else toys.whisper(model)
    given = {"task": "audio-classification", "method": "svm", "data": str(data), "model": str(model)}
    return toys.a_run(tmp_path / name, **{**given, **more})


def test_it_is_fitted_measured_kept_and_answers_in_the_studio(tmp_path: Path, settings: Settings, sounds: Path) -> None:
    folder = a_run(tmp_path, sounds, epochs=7, learning_rate=0.5)  # which do not matter to it
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["after"]["metrics"]["accuracy"] == 1 > report["before"]["metrics"]["accuracy"]
    low, high = report["after"]["intervals"]["accuracy"]
    assert low <= 1 <= high and report["verdict"] == "better"
    notes = [event["message"] for event in toys.events_of(folder, "note")]
    assert "It was fitted to all 24 rows at once: there are no steps to take." in notes
    scores = [event["values"]["accuracy"] for event in toys.events_of(folder, "metric") if event["step"] == 0]
    assert scores[-1] == 1 and not [event for event in toys.events_of(folder, "progress") if event.get("loss")]

    found = evaluate(TrainOptions("audio-classification", str(sounds), str(folder), device="cpu"), settings)
    assert found["metrics"]["accuracy"] == 1

    studio = Studio(settings)
    events = studio.run(
        "classify", [sounds / f"{place}.wav" for place in (24, 25, 26)], {"model": str(folder / "model")}
    )
    said = [event.text for event in events if isinstance(event, Classification)]
    studio.close()
    assert said == ["high", "low", "middle"]

    merged = export.export(folder, "merged")
    assert (merged / "config.json").is_file() and export.export(folder, "zip").is_file()


def test_what_is_kept_is_a_linear_head_that_separates_as_the_svm_does(
    tmp_path: Path, settings: Settings, sounds: Path
) -> None:
    """Scores by plain transformers are those of scikit-learn on what it was fitted to."""
    from sklearn.svm import LinearSVC
    from transformers import AutoModelForAudioClassification

    folder = a_run(tmp_path, sounds)
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    tuned: Any = AutoModelForAudioClassification.from_pretrained(folder / "model").eval()
    kept = sorted((Path(settings.home) / "cache" / "features").rglob("*.npy"))
    features = np.stack([np.load(file) for file in kept]).astype(np.float64)

    from mmdemo.datasets import read

    rows = read(sounds, settings).split("train")
    at = {file.stem: place for place, file in enumerate(kept)}
    learned = features[[at[row.content] for row in rows]]
    mean, scale = learned.mean(0), learned.std(0) * learned.shape[1] ** 0.5
    machine = LinearSVC(random_state=0, max_iter=5000)
    machine.fit((learned - mean) / scale, [row.label for row in rows])
    with torch.inference_mode():
        scores = tuned.classifier(tuned.projector(torch.from_numpy(features).float())).numpy()
    assert list(tuned.config.id2label.values()) == machine.classes_.tolist()
    assert np.allclose(scores, machine.decision_function((features - mean) / scale), atol=2e-2)


def test_stopped_while_it_listens_it_goes_on_and_the_weights_are_the_same(
    tmp_path: Path, settings: Settings, sounds: Path
) -> None:
    whole = a_run(tmp_path, sounds, "whole")
    assert run(whole, settings) == 0
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 2

    broken, elsewhere = a_run(tmp_path, sounds, "broken"), replace(settings, home=str(tmp_path / "elsewhere"))
    assert run(broken, elsewhere, stopping=stopping) == 75
    assert toys.events_of(broken)[-1]["kind"] == "stopped"
    assert 0 < len(list((tmp_path / "elsewhere").rglob("*.npy"))) < 30  # what it heard is kept
    assert run(broken, elsewhere) == 0 and run(broken, elsewhere) == 0
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (whole, broken))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_rows_whose_features_are_no_numbers_are_named(
    tmp_path: Path, settings: Settings, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = AudioClassification._encoded

    def broken(self: AudioClassification, rows: Any) -> Any:
        found = heard(self, rows)
        found[[place for place, row in enumerate(rows) if row.origin.endswith("row 3")]] = np.nan
        return found

    monkeypatch.setattr(AudioClassification, "_encoded", broken)
    folder = a_run(tmp_path, sounds)
    assert run(folder, settings) == 1
    said = toys.events_of(folder)[-1]["message"]
    assert "no number" in said and "row 3" in said and "row 4" not in said, said


def test_a_class_with_one_row_is_learned_and_said(tmp_path: Path, settings: Settings, sounds: Path) -> None:
    rows = [json.loads(line) for line in (sounds / "metadata.jsonl").read_text().splitlines()]
    rows[0]["label"] = "odd"
    toys.table(sounds / "metadata.jsonl", rows)
    for method in ("svm", "head"):
        folder = a_run(tmp_path, sounds, method, method=method, epochs=1)
        assert run(folder, settings) == 0, toys.events_of(folder)[-1]
        notes = [event["message"] for event in toys.events_of(folder, "note")]
        said = "1 labels have one row each to learn from, such as 'odd': give them more, or leave them out."
        assert said in notes
    with pytest.raises(InputError, match="rows of two labels or more"):
        kind = recipes.get("audio-classification")
        one = tuple(replace(row, label="odd") for row in _train(sounds, settings))
        from mmdemo.training.models import base_of
        from mmdemo.training.recipes.base import Given

        kind(Given(settled(TrainOptions("audio-classification"), kind), base_of(str(tmp_path / "whisper"), settings),
                   settings, rows=one))  # fmt: skip


def _train(data: Path, settings: Settings) -> Any:
    from mmdemo.datasets import read

    return read(data, settings).split("train")


def test_a_task_without_it_says_so_and_a_search_finds_nothing_to_change() -> None:
    with pytest.raises(UnknownName, match="'svm'; choose from: full, "):
        settled(TrainOptions("text-classification", method="svm"), recipes.get("text-classification"))
    kind = recipes.get("image-classification")
    assert ranges.offered(settled(TrainOptions("image-classification", method="svm"), kind), kind, 100) == ()
    assert ranges.offered(settled(TrainOptions("image-classification"), kind), kind, 100)
