"""What the tab of models does when a row's button is pressed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from mmdemo.ui.tabs.models import Models
from tests.ui.handling import REQUEST, all_of, placed


def pressed(key: str, action: str) -> Any:
    return gr.EventData(None, {"value": key, "action": action})


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("unload", "Starter describer is unloaded."),
        ("load", "Done in"),
        ("fetch", "Done in"),
        ("remove", "was removed"),
    ],
)
def test_models_are_fetched_loaded_unloaded_and_removed(studio: Any, action: str, said: str) -> None:
    tab = placed(Models, studio)
    _, shown = all_of(tab.act(pressed("starter-describer", action), REQUEST))
    assert said in shown[tab.bench.status]
    assert ("starter-describer" in studio.loaded) is (action != "unload")
    assert "<table" in shown[tab.table]


def test_a_model_that_does_not_exist_is_refused_in_place(studio: Any) -> None:
    tab = placed(Models, studio)
    for action in ("fetch", "unload", "remove"):
        _, shown = all_of(tab.act(pressed("no-such-model", action), REQUEST))
        assert "There is no model &#x27;no-such-model&#x27;" in shown[tab.bench.status]


def test_an_action_that_does_not_exist_is_refused_and_does_nothing(studio: Any) -> None:
    tab = placed(Models, studio)
    _, shown = all_of(tab.act(pressed("starter-describer", "explode"), REQUEST))
    assert "There is no action &#x27;explode&#x27;" in shown[tab.bench.status]
    assert "starter-describer" in studio.loaded


@pytest.mark.parametrize("action", ["unload", "remove"])
def test_what_waits_for_its_turn_says_so_and_can_be_stopped(studio: Any, action: str) -> None:
    release = threading.Event()

    def busy(cancelled: Any) -> Iterator[int]:
        yield 1
        release.wait(20)

    before = studio.worker.stream(busy)
    next(before)
    tab = placed(Models, studio)
    stream = tab.act(pressed("starter-describer", action), REQUEST)
    first = next(stream)
    assert "Waiting for the work before this one" in first[tab.bench.status]
    assert first[tab.bench.stop]["interactive"] is True
    tab.bench._stop(REQUEST)
    _, shown = all_of(stream)
    assert "Stopped" in shown[tab.bench.status]
    release.set()
    assert list(before) == []
    assert studio.worker.call(lambda: "starter-describer" in studio.loaded), "it was not done afterwards either"


def test_the_table_says_where_each_model_stands(studio: Any) -> None:
    tab = placed(Models, studio)
    table = tab.rows(REQUEST)
    assert "● loaded on cpu" in table and "○ in the cache" in table and "not fetched · needs a network" in table
    assert 'aria-label="Unload Starter describer"' in table and 'aria-label="Fetch SmolVLM2 256M"' in table
    assert "Remove the files of Whisper base from this machine?" in table
