"""A tuned model goes to the Hub from the page: named, private unless told otherwise, by whoever sits at the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmdemo.ui.tabs.train import Train
from tests.hub_server import TOKEN, Hub, receiving
from tests.jobs.conftest import command, until
from tests.training.test_publish import trained
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

HERE: Any = SimpleNamespace(
    **{**vars(REQUEST), "client": SimpleNamespace(host="127.0.0.1"), "headers": {"host": "127.0.0.1:7860"}}
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    with receiving(monkeypatch, tmp_path / "hf") as made:
        yield made


@pytest.fixture
def tab(studio: Any) -> Train:
    return placed(Train, studio)  # type: ignore[no-any-return]


def tuned(studio: Any, tmp_path: Path) -> str:
    """A training that really ran, as a job that is done."""
    made = trained(tmp_path, studio.settings)
    job = until(studio.jobs, studio.jobs.submit("train", "Cats", lambda folder: command(folder, 2, 0.01)).id, "done")
    for one in (*made.glob("*.json"), made / "model"):
        one.rename(job.folder / one.name)
    return str(job.id)


def test_a_model_is_uploaded_and_its_page_is_a_link(
    tab: Train, studio: Any, tmp_path: Path, hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, panel = tuned(studio, tmp_path), tab.view.pushing
    assert tab.view.opened(run, REQUEST)[panel.place]["visible"] is True
    updates, shown = all_of(panel.push(run, " me/tuned ", True, HERE))
    assert "It is on the Hub." in shown[panel.bench.status] and '/me/tuned"' in shown[panel.result]
    assert hub.made[0]["visibility"] == "private" and "model.safetensors" in hub.files
    lines = [str(update.get(panel.bench.status, "")) for update in updates]
    assert any("Uploading me/tuned" in line for line in lines)
    assert TOKEN not in str(updates)
    hub.refusing = True
    updates, shown = all_of(panel.push(run, "me/tuned", False, HERE))
    assert "refuses me/tuned to this user: set HF_TOKEN" in shown[panel.bench.status] and TOKEN not in str(updates)
    monkeypatch.delenv("HF_TOKEN")
    _, shown = all_of(panel.push(run, "me/tuned", True, HERE))
    assert "There is no token for the Hub: set HF_TOKEN" in shown[panel.bench.status] and shown[panel.result] == ""


def test_what_is_wrong_is_said_and_another_machine_may_not(
    tab: Train, studio: Any, tmp_path: Path, hub: type[Hub]
) -> None:
    panel = tab.view.pushing
    job = until(studio.jobs, studio.jobs.submit("train", "Cats", lambda folder: command(folder, 2, 0.01)).id, "done")
    assert tab.view.opened(job.id, REQUEST)[panel.place]["visible"] is False, "there is no model"
    for name, words in (("", "has no name yet: give owner/name"), ("tuned", "is no repository of the Hub")):
        _, shown = all_of(panel.push(job.id, name, True, HERE))
        assert words in shown[panel.bench.status]
    _, shown = all_of(panel.push(job.id, "me/tuned", True, HERE))
    assert "has no finished model" in shown[panel.bench.status]
    _, shown = all_of(panel.push(job.id, "me/tuned", True, REQUEST))
    assert "Only the machine that the studio runs on" in shown[panel.bench.status]
    _, shown = all_of(panel.push(job.id, "me/tuned", True, CHINESE))
    assert "只有运行本程序的电脑" in shown[panel.bench.status]
    assert hub.made == []
