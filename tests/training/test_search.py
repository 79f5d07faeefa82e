"""A search for settings: ranges, trials on a toy, killed and resumed from its SQLite file, the best as a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from mmdemo.errors import InputError, UnknownName
from mmdemo.options import build
from mmdemo.settings import Settings
from mmdemo.training import ranges, recipes, search_config, submit
from mmdemo.training.config import TrainOptions
from mmdemo.training.search import opened, search
from mmdemo.training.search_config import SearchOptions
from tests.training import toys

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.bert(tmp_path_factory.mktemp("bert"))


def a_search(folder: Path, model: Path, search: dict[str, Any], **run: Any) -> Path:
    data = folder.parent / "rows.jsonl"
    if not data.exists():
        toys.table(data, toys.sentences(60))
    given = {"task": "text-classification", "data": str(data), "model": str(model), "device": "cpu", "dropout": 0.0,
             "validation": 0.3} | run  # fmt: skip
    search_config.write(build(TrainOptions, given), build(SearchOptions, search), folder)
    return folder


def found(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "trials.json").read_text())
    return values


RANGES = "learning_rate=1e-4..1e-2; batch=4,8"


def test_a_search_finds_what_learns_and_the_best_becomes_a_run(tmp_path: Path, model: Path, settings: Settings) -> None:
    folder = a_search(tmp_path / "what? {a} search", model, {"trials": 5, "ranges": RANGES}, epochs=3)
    assert search(folder, settings) == 0, toys.events_of(folder)[-1]
    came = found(folder)
    assert [trial["number"] for trial in came["trials"]] == list(range(5))
    assert came["metric"] == "accuracy" and came["ranges"] == ["learning_rate=0.0001..0.01", "batch=4,8"]
    best = came["trials"][came["best"]]
    assert best["state"] == "complete"
    assert best["score"] == max(trial["score"] for trial in came["trials"] if trial["state"] == "complete")
    assert set(came["importance"]) == {"learning_rate", "batch"}
    assert sum(came["importance"].values()) == pytest.approx(1, abs=1e-3)
    assert not list(folder.glob("trials/*/checkpoints")), "what a trial has learned is not kept"
    took = [note for note in toys.events_of(folder, "note") if "will take about" in note["message"]]
    assert len(took) == 1, "how long a trial takes is said once"
    last = toys.events_of(folder)[-1]
    assert last["kind"] == "done" and last["message"].startswith("The best of 5 trials: accuracy ")
    options = submit.best_options(folder)
    assert options.learning_rate == came["params"]["learning_rate"] and options.epochs == 3
    study = opened(folder, False)
    assert study.best_value == best["score"], "the file is Optuna's own"
    assert search(folder, settings) == 0 and len(found(folder)["trials"]) == 5, "it is done: nothing is tried twice"


def test_trials_that_fall_behind_are_given_up(tmp_path: Path, model: Path, settings: Settings) -> None:
    folder = a_search(tmp_path / "search", model, {"trials": 6, "ranges": "learning_rate=1e-9..1e-8"}, epochs=5)
    study = opened(folder, False)
    tried = FloatDistribution(1e-9, 1e-8, log=True)
    for rate in (2e-9, 3e-9, 4e-9, 5e-9, 6e-9):
        reached = {epoch: 0.9 for epoch in range(1, 6)}
        study.add_trial(
            create_trial(
                value=0.9, params={"learning_rate": rate}, distributions={"learning_rate": tried},
                intermediate_values=reached,
            )
        )  # fmt: skip
    assert search(folder, settings) == 0, toys.events_of(folder)[-1]
    behind = found(folder)["trials"][-1]
    assert behind["state"] == "pruned" and behind["why"] == "It fell behind the others."
    assert len(behind["reached"]) < 5 and behind["score"] < 0.9 and found(folder)["best"] < 5


def test_a_search_that_is_broken_off_goes_on_and_tries_the_half_done_trial_again(
    tmp_path: Path, model: Path, settings: Settings
) -> None:
    folder = a_search(tmp_path / "search", model, {"trials": 3, "ranges": RANGES, "pruner": "none"},
                      steps=20, evaluate_every=10, checkpoint_every=1)  # fmt: skip
    environment = {**os.environ, "MMDEMO_HOME": settings.home, "MMDEMO_THREADS": "1", "MMDEMO_DEVICE": "cpu"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mmdemo.training.search", str(folder)], cwd=ROOT, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list(folder.glob("trials/0001/checkpoints/step-*")):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    steps = folder / "trials" / "0001"
    assert search(folder, settings, stopping=lambda: True) == 75
    assert toys.events_of(folder)[-1]["kind"] == "stopped"
    assert search(folder, settings) == 0, toys.events_of(folder)[-1]
    came = found(folder)["trials"]
    assert [trial["state"] for trial in came] == ["complete", "fail", "fail", "complete", "complete"]
    assert [trial["again"] for trial in came] == [None, None, 1, 2, None]
    assert came[1]["why"] == "It is tried again." and came[3]["params"] == came[1]["params"]
    assert max(event["step"] for event in toys.events_of(steps, "progress")) == 20
    assert len(list((folder / "trials").iterdir())) == 3, "it went on from its checkpoint"


def test_the_time_of_a_search_is_kept_and_what_it_has_found_counts(
    tmp_path: Path, model: Path, settings: Settings
) -> None:
    folder = a_search(tmp_path / "search", model, {"trials": 1000, "minutes": 0.07, "ranges": RANGES}, epochs=2)
    began = time.monotonic()
    assert search(folder, settings) == 0, toys.events_of(folder)[-1]
    assert time.monotonic() - began < 30
    assert 1 <= len(found(folder)["trials"]) < 1000
    short = a_search(tmp_path / "short", model, {"trials": 9, "minutes": 0.0001, "ranges": RANGES}, epochs=2)
    assert search(short, settings) == 1
    assert "give the search more minutes" in toys.events_of(short)[-1]["message"]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("lerning_rate=1..2", UnknownName, "learning_rate"),
        ("data=a,b", UnknownName, "field to search for 'data'"),
        ("epochs", InputError, "field=low..high"),
        ("epochs=9..2", InputError, "ends before it begins"),
        ("epochs=1..many", InputError, "'many'"),
        ("warmup=0..7", InputError, "at most 1"),
        ("method=lora..full", InputError, "commas"),
        ("method=lora,fast", UnknownName, "fast"),
    ],
)
def test_a_range_that_is_not_one_is_refused(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        ranges.parse(text)


def test_ranges_are_read_as_they_are_written() -> None:
    text = "learning_rate=1e-05..0.001\nepochs=2..6\nlora_rank=4..64\nclass_weights=yes,no\nbatch=8,16"
    made = ranges.parse(text)
    assert [one.log for one in made] == [True, False, True, False, False]
    assert made[3].values == (True, False) and ranges.parse(ranges.written(made)) == made
    assert ranges.parse(" learning-rate = 1e-5..1e-3 ;; ")[0].name == "learning_rate"


def test_what_is_offered_suits_task_method_and_data_and_leaves_what_was_set() -> None:
    text, pictures = recipes.get("text-classification"), recipes.get("image-classification")
    options = TrainOptions(method="lora", epochs=3)
    offered = {one.name: one for one in ranges.offered(options, text, 1000)}
    assert set(offered) == {"learning_rate", "batch", "label_smoothing", "dropout", "lora_rank"}
    assert offered["learning_rate"].low < text.methods["lora"] < offered["learning_rate"].high
    assert ranges.first(offered.values(), options, text, 1000)["learning_rate"] == text.methods["lora"]
    few = {one.name: one for one in ranges.offered(TrainOptions(method="head"), pictures, 10)}
    assert set(few) == {"learning_rate", "epochs", "batch", "label_smoothing"} and max(few["batch"].values) <= 10


def test_what_a_frozen_eye_sees_is_computed_once_for_all_trials(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from mmdemo.fusion.model import FusionModel

    toys.describer(tmp_path, monkeypatch)
    (tmp_path / "data").mkdir()
    for place in range(10):
        Image.new("RGB", (64, 64), (20 * place, 10, 10)).save(tmp_path / "data" / f"{place}.png")
    rows = [{"file_name": f"{place}.png", "text": "something red"} for place in range(10)]
    toys.table(tmp_path / "data" / "metadata.jsonl", rows)
    seen: list[int] = []
    encoded = FusionModel.encoded

    def counted(self: FusionModel, modality: str, given: Any) -> Any:
        seen.append(len(given))
        return encoded(self, modality, given)

    monkeypatch.setattr(FusionModel, "encoded", counted)
    folder = a_search(
        tmp_path / "search", tmp_path / "describer", {"trials": 2, "ranges": "learning_rate=1e-3..1e-2"},
        task="image-to-text", data=str(tmp_path / "data"), dropout=-1.0, method="full", steps=2,
    )  # fmt: skip
    assert search(folder, settings) == 0, toys.events_of(folder)[-1]
    assert len(found(folder)["trials"]) == 2 and sum(seen) == 10
