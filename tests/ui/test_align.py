"""Search by text on the page: what each text finds, the matrix, and what to do without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdemo import catalog
from mmdemo.results import Nearness, Provenance
from mmdemo.runtime.standing import Row
from mmdemo.settings import Settings
from mmdemo.ui import align_cards
from mmdemo.ui.align import Align
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

FROM = Provenance("folder:/x/model", "cpu", 0.2)
TEXTS = ("a red <b>square", "the sea")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    for name in ("red", "blue", "green"):
        Image.new("RGB", (16, 16), name).save(tmp_path / f"{name}.png")
    return [str(tmp_path / f"{name}.png") for name in ("red", "blue", "green")]


def near(file: str, *scores: float) -> Nearness:
    return Nearness(file, TEXTS[: len(scores)], scores, FROM)


def test_each_text_finds_its_files_in_order_and_each_file_its_text(pictures: list[str]) -> None:
    red, blue, green = pictures
    rows = [near(green, 0.1, 0.2), near(red, 0.9, 0.0), near(blue, 0.2, 0.8)]
    html = align_cards.html(rows, Settings(), "en")
    first, second = html.split('data-mm-finds="1"')[0], html.split('data-mm-finds="1"')[1].split("</ul>")[0]
    assert re.findall(r'mm-file">(\w+)\.png', first) == ["red", "blue", "green"]
    assert re.findall(r'mm-file">(\w+)\.png', second) == ["blue", "green", "red"]
    assert re.findall(r"▲ (0\.\d+)", html) == ["0.20", "0.90", "0.80"], "the nearest text of each file"
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert "公共空间" in align_cards.html(rows, Settings(), "zh")


def test_a_broken_file_is_told_beside_the_others(pictures: list[str]) -> None:
    bad = Nearness("x.png", TEXTS, (), FROM, error="x.png is empty (0 bytes): save or download it again.")
    html = align_cards.html([bad, near(pictures[0], 0.9, 0.1)], Settings(), "zh")
    assert "x.png 是空文件（0 字节）" in html and "red.png" in html


def test_a_text_searches_what_was_dropped_before_it_was_written(studio: Any, pictures: list[str]) -> None:
    def nearness(files: Any, options: Any) -> Iterator[Any]:
        for place, file in enumerate(files):
            yield Nearness(str(file), options.lines, tuple(0.1 * place for _ in options.lines), FROM)

    studio.script["align"] = nearness
    tab = placed(Align, studio)
    _, shown = all_of(tab.given(pictures, " ", "", REQUEST))
    assert "3 files are here" in shown[tab.bench.status] and studio.asked == []
    _, shown = all_of(tab.again(shown[tab.paths], "the sea\nthe sea\n\na bus", "folder:/x/model", REQUEST))
    task, files, options = studio.asked[-1]
    assert (task, len(files), options.lines, options.model) == ("align", 3, ("the sea", "a bus"), "folder:/x/model")
    assert "Nearest to “a bus”" in shown[tab.result] and "Done in" in shown[tab.bench.status]
    _, shown = all_of(tab.again([], "the sea", "", CHINESE))
    assert 'role="alert"' in shown[tab.bench.status]


def test_the_starter_towers_are_offered_and_towers_that_were_trained_here_come_first(studio: Any) -> None:
    tab = placed(Align, studio)
    assert tab.offered("")["value"] == "starter-search"
    spec = replace(catalog.get("starter-describer"), key="folder:/x/model", title="cats · towers", tasks=("align",))
    studio.own["own"] = Row(spec, True, False, 1)
    update = tab.offered("")
    assert update["value"] == "folder:/x/model"
    assert [key for _, key in update["choices"]] == ["folder:/x/model", "starter-search"]
    assert tab.offered("starter-search")["value"] == "starter-search"
