"""Searching the Hub on the tab of models: what is found, what can be done with it, and where it then stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import gradio as gr
import pytest

from mmdemo import catalog
from mmdemo.catalog import Hub
from mmdemo.runtime.sources.hub_find import Wanted
from mmdemo.runtime.standing import Row
from mmdemo.settings import Settings
from mmdemo.ui import panels
from mmdemo.ui.tabs.models import Models
from tests.ui.conftest import FOUND
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

EYES = replace(
    catalog.get("smolvlm2-256m"), key="hub:a/tiny-eyes", title="tiny-eyes", sources=(Hub("a/tiny-eyes"),), bytes=10**7
)


def pressed(key: str, action: str) -> Any:
    return gr.EventData(None, {"value": key, "action": action})


def test_a_search_shows_what_was_found_with_its_size_and_a_button(studio: Any) -> None:
    tab = placed(Models, studio)
    _, shown = all_of(tab.search.find("a", "describe", 3, "mit", REQUEST))
    assert studio.wanted == [Wanted("a", ("describe",), "mit", 3.0)]
    html = shown[tab.search.results]
    assert shown[tab.search.found] == list(FOUND)
    assert "2 found" in shown[tab.search.bench.status]
    assert 'aria-label="Fetch tiny-eyes"' in html and 'data-mm-key="hub:a/tiny-eyes"' in html
    assert all(words in html for words in ("512 MB", "256 M", "12,345", ">describe<", ">mit<"))


def test_one_whose_size_the_hub_does_not_tell_is_looked_at_first(studio: Any) -> None:
    studio.search = lambda wanted, stop=None: iter([[replace(FOUND[1], key="hub:b/big", repo="b/<big>")]])
    tab = placed(Models, studio)
    _, shown = all_of(tab.search.find("big", "", 0, "", REQUEST))
    html = shown[tab.search.results]
    assert 'data-mm-action="look"' in html and 'aria-label="Look up big"' in html and "Fetch" not in html
    assert "b/&lt;big&gt;" in html and "<big>" not in html and "gated" in html and "not stated" in html
    asked: list[Wanted] = []
    studio.search = lambda wanted, stop=None: iter([asked.append(wanted) or [FOUND[0]]])
    _, shown = all_of(tab.press([FOUND[1]], pressed("hub:b/big", "look"), REQUEST))
    assert asked == [Wanted("hub:b/big")]
    assert shown[tab.search.words] == "hub:b/big" and shown[tab.search.found] == [FOUND[0]]


def test_a_hub_that_fails_is_told_in_the_readers_language(studio: Any) -> None:
    tab = placed(Models, studio)
    _, shown = all_of(tab.search.find("broken", "", 0, "", CHINESE))
    assert "无法搜索 Hub（Hub 出现故障（状态码 500）：请稍后再试）。" in shown[tab.search.bench.status]
    assert tab.search.results not in shown, "the results of before stay"
    _, shown = all_of(tab.search.find("nothing like it", "", 0, "", CHINESE))
    assert "没有符合条件且可在此运行的模型" in shown[tab.search.results]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row(EYES, cached=True, loaded=False, disk=10**7), "○ in the cache"),
        (Row(EYES, cached=False, loaded=False, disk=0, arrived=3 * 10**6), 'aria-label="Resume tiny-eyes"'),
    ],
)
def test_a_fetched_result_stands_as_it_is_now(row: Row, said: str, studio: Any) -> None:
    tab = placed(Models, studio)
    studio.own[EYES.key] = row
    _, shown = all_of(tab.press([FOUND[0]], pressed(EYES.key, "fetch"), REQUEST))
    assert said in shown[tab.search.results]
    assert "Found by you on the Hub" in shown[tab.table] and 'data-mm-model="hub:a/tiny-eyes"' in shown[tab.table]
    assert "Fetch tiny-eyes" not in shown[tab.search.results]


def test_what_a_row_of_the_users_offers_and_says() -> None:
    row = Row(EYES, cached=False, loaded=False, disk=0, arrived=3 * 10**6)
    assert panels.actions(row, offline=False) == ["resume", "load", "remove"]
    assert panels.actions(row, offline=True) == ["remove"]
    assert panels.state(row, "en") == "◐ 3.0 MB of 10.0 MB are here"
    row = replace(row, cached=True, last_used=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    assert panels.actions(row, offline=True) == ["load", "remove"]
    assert "last used 2026-01-0" in panels.state(row, "en")


def test_the_one_used_last_comes_first() -> None:
    rows = [
        Row(replace(EYES, key=f"hub:a/{name}"), True, False, 1, last_used=when)
        for name, when in (("never", None), ("old", datetime(2026, 1, 1, tzinfo=UTC)),
                           ("new", datetime(2026, 2, 1, tzinfo=UTC)))
    ]  # fmt: skip
    html = panels.models(rows, False, "en")
    assert "The fetched models take 0.0 MB on this machine." in html
    places = [html.index(f'data-mm-model="hub:a/{name}"') for name in ("new", "old", "never")]
    assert places == sorted(places)


def test_offline_there_is_nothing_to_search(studio: Any) -> None:
    studio.settings = Settings(home=studio.settings.home, offline=True)
    tab = placed(Models, studio)
    assert tab.search.words.parent.parent.visible is False
