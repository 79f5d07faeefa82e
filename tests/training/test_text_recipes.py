"""Text classifiers and taggers learn, and are saved as plain `transformers` and `peft` load them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mmdemo.datasets.rows import Row
from mmdemo.errors import InputError
from mmdemo.settings import Settings
from mmdemo.training.config import TrainOptions
from mmdemo.training.evaluate import evaluate
from mmdemo.training.models import base_of
from mmdemo.training.recipes.base import Given
from mmdemo.training.recipes.text_classification import TextClassification
from mmdemo.training.run import run
from tests.training import toys


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.bert(tmp_path_factory.mktemp("bert"))


def tagged(count: int) -> list[dict[str, Any]]:
    """Names and places, which the words themselves tell, with words between them of which some fall into pieces."""
    draw = random.Random(0)
    kinds = {"anna": "B-PER", "tom": "B-PER", "berlin": "B-LOC", "paris": "B-LOC"}
    rows = []
    for _ in range(count):
        words = draw.choices([*kinds, "runs", "to", "the", "seaside", "bluebird"], k=draw.randint(2, 9))
        rows.append({"tokens": words, "ner_tags": [kinds.get(word, "O") for word in words]})
    return rows


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_classifier_learns_and_is_what_plain_libraries_load(
    tmp_path: Path, model: Path, settings: Settings, method: str
) -> None:
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(160))
    folder = toys.a_run(
        tmp_path / "run", task="text-classification", data=str(data), model=str(model), method=method, batch=16,
        epochs=40, learning_rate=5e-3 if method == "full" else 2e-3, evaluate_every=40, validation=0.2, dropout=0.0,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = report_of(folder)
    assert report["after"]["metrics"]["accuracy"] >= 0.9, report["after"]
    assert report["verdict"] == "better"
    assert report["changed"] and {"before", "after", "target", "origin"} <= set(report["changed"][0])
    kinds = [event["kind"] for event in toys.events_of(folder)]
    assert {"progress", "metric", "sample", "note"} <= set(kinds) and kinds[-1] == "done"

    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    result = folder / "model"
    tuned = AutoModelForSequenceClassification.from_pretrained(result)
    classify = pipeline("text-classification", model=tuned, tokenizer=AutoTokenizer.from_pretrained(result))
    assert classify("tom hates the sea")[0]["label"] == "hates"
    if method == "lora":
        from peft import PeftModel

        base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
        adapted = PeftModel.from_pretrained(base, result / "adapter").eval()
        words = AutoTokenizer.from_pretrained(result)("tom hates the sea", return_tensors="pt")
        assert adapted(**words).logits.detach().numpy() == pytest.approx(
            tuned(**words).logits.detach().numpy(), abs=1e-4
        )

    held = [row for row in toys.sentences(200)[160:]]
    options = TrainOptions(
        task="text-classification", data=str(toys.table(tmp_path / "held.jsonl", held)), model=str(folder)
    )
    found = evaluate(options, settings)
    assert found["rows"] == 40 and found["metrics"]["accuracy"] >= 0.9
    assert found["intervals"]["accuracy"][0] <= found["metrics"]["accuracy"] <= found["intervals"]["accuracy"][1]


def test_a_tagger_learns_words_in_pieces_and_reports_each_tag(tmp_path: Path, model: Path, settings: Settings) -> None:
    data = toys.table(tmp_path / "rows.jsonl", tagged(150))
    folder = toys.a_run(
        tmp_path / "run", task="token-classification", data=str(data), model=str(model), batch=16, epochs=12,
        learning_rate=5e-3, dropout=0.0,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = report_of(folder)
    assert report["before"]["metrics"]["micro_f1"] == 0  # nothing is a name
    assert report["after"]["metrics"]["micro_f1"] >= 0.95
    assert "LOC" in report["report"] and "PER" in report["report"]
    shown = toys.events_of(folder, "sample")[-1]
    assert len(shown["text"].split()) == len(shown["target"].split())


def test_one_label_only_and_a_model_without_labels_are_refused(tmp_path: Path, model: Path, settings: Settings) -> None:
    same = [{**row, "label": "likes"} for row in toys.sentences(20)]
    data = str(toys.table(tmp_path / "rows.jsonl", same))
    folder = toys.a_run(tmp_path / "run", task="text-classification", data=data, model=str(model))
    assert run(folder, settings) == 1
    assert "needs rows of two labels" in toys.events_of(folder)[-1]["message"]
    with pytest.raises(InputError, match="has not learned any labels"):
        evaluate(TrainOptions(task="text-classification", data=data, model=str(model)), settings)


def test_rare_labels_count_as_much_where_that_is_wanted(model: Path, settings: Settings) -> None:
    rows = tuple(Row(f"row {place}", text="x", label="rare" if place == 7 else "common") for place in range(10))
    options = TrainOptions(task="text-classification", method="full", class_weights=True)
    recipe = TextClassification(Given(options, base_of(str(model), settings), settings, rows=rows))
    assert recipe.labels == ("common", "rare") and recipe.weight is not None
    assert recipe.weight.tolist() == pytest.approx([10 / 18, 10 / 2])  # scikit-learn's "balanced"
    assert recipe.baseline == "common"
