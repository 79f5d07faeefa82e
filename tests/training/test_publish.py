"""A tuned model goes to a repository whole: what plain `transformers` loads, its card, and nothing of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdemo.cli import main
from mmdemo.errors import InputError, Unreachable
from mmdemo.runtime.sources.base import Progress
from mmdemo.settings import Settings
from mmdemo.training.publish import publish
from mmdemo.training.run import run
from tests.hub_server import TOKEN, Hub, receiving
from tests.training import toys


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    with receiving(monkeypatch, tmp_path / "hf") as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu")


def trained(folder: Path, settings: Settings, method: str = "full") -> Path:
    model = toys.bert(folder / "bert")
    data = toys.table(folder / "secret.jsonl", toys.sentences(24))
    values = {"task": "text-classification", "data": str(data), "model": str(model), "method": method, "steps": 2}
    made = toys.a_run(folder / "run", **values)
    assert run(made, settings) == 0
    return made


@pytest.mark.parametrize("method", ["full", "lora"])
def test_what_is_uploaded_loads_with_plain_transformers(
    hub: type[Hub], settings: Settings, tmp_path: Path, method: str
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    made = trained(tmp_path, settings, method)
    there = sorted(one.name for one in made.iterdir())
    told: list[Progress] = []
    place = publish(made, "me/tuned", settings, report=told.append)
    assert place.endswith("/me/tuned") and hub.made[0]["visibility"] == "private"
    assert hub.tokens == {f"Bearer {TOKEN}"} and {one.stage for one in told} == {"Uploading me/tuned"}
    assert sorted(one.name for one in made.iterdir()) == there, "nothing is left in the run's folder"
    for name, data in hub.files.items():
        (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / name).write_bytes(data)
        assert TOKEN.encode() not in data
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "got")
    assert sorted(loaded.config.label2id) == ["hates", "likes"]
    assert AutoTokenizer.from_pretrained(tmp_path / "got")("anna likes the sea")["input_ids"]
    card = hub.files["README.md"].decode()
    assert "accuracy" in card and "secret" in card, "its data by name, and what it scored"
    assert not [name for name in hub.files if "checkpoint" in name or name.endswith((".jsonl", "events.jsonl"))]


def test_the_command_prints_where_it_is_and_public_is_said_aloud(
    hub: type[Hub],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MMDEMO_HOME", settings.home)
    made = trained(tmp_path, settings)
    assert main(["export", str(made), "--push", "me/tuned", "--public"]) == 0
    assert capsys.readouterr().out.strip().endswith("/me/tuned") and hub.made[0]["visibility"] == "public"
    assert {"model.safetensors", "config.json", "README.md"} <= set(hub.files)
    hub.refusing = True
    assert main(["export", str(made), "--push", "me/tuned"]) == 1
    said = capsys.readouterr().err
    assert "refuses me/tuned to this user: set HF_TOKEN" in said and TOKEN not in said


def test_what_cannot_be_uploaded_is_refused_before_it_is_packed(
    hub: type[Hub], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = toys.a_run(tmp_path / "run", data="x.csv")
    with pytest.raises(InputError, match="has no finished model: let the run end first"):
        publish(empty, "me/tuned", settings)
    with pytest.raises(Unreachable, match="The studio is offline"):
        publish(empty, "me/tuned", Settings(home=settings.home, offline=True))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="There is no token for the Hub"):
        publish(empty, "me/tuned", settings)
    assert hub.made == []
