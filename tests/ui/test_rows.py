"""Rows of a data set on the page: pages, finding, players, corrections that are a set of their own."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from mmdemo.datasets import read
from mmdemo.ui.tabs.train import Train
from tests.datasets.making import lines, picture, recording
from tests.ui.handling import CHINESE, REQUEST, all_of, placed


@pytest.fixture
def tab(studio: Any) -> Train:
    return placed(Train, studio)  # type: ignore[no-any-return]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((f"text {n}", "ab"[n % 2]) for n in range(30))])
    return path


def pressed(action: str, value: str) -> Any:
    return gr.EventData(None, {"value": value, "action": action})


def test_rows_come_page_by_page_and_are_found(tab: Train, table: Path) -> None:
    rows = tab.rows
    _, shown = all_of(tab.drop.picked(str(table), REQUEST))
    assert shown[rows.box]["visible"] and shown[rows.gallery].count("<li") == 12
    assert "Rows 1 to 12 of 30" in shown[rows.where] and not shown[rows.before]["interactive"]
    last = rows.later(str(table), 12, "", REQUEST)
    assert "Rows 25 to 30 of 30" in last[rows.where] and not last[rows.after]["interactive"]
    assert "text 29" in last[rows.gallery] and "Edit numbers.csv, row 30" in last[rows.gallery]
    assert rows.earlier(str(table), 12, "", REQUEST)[rows.first] == 0
    some = rows.found(str(table), 24, "TEXT 1", CHINESE)
    assert "第 1 至 11 行，共 11 行" in some[rows.where] and "numbers.csv 第 12 行" in some[rows.gallery]
    assert "No row says that." in rows.found(str(table), 0, "nothing", REQUEST)[rows.gallery]


def test_a_row_is_corrected_and_left_out_in_a_set_of_its_own(tab: Train, table: Path, studio: Any) -> None:
    rows, before = tab.rows, table.read_bytes()
    all_of(tab.drop.picked(str(table), REQUEST))
    names = [name for name, _ in rows._rows(table)]
    one = rows.pressed(str(table), 0, "", pressed("edit", names[1]), REQUEST)
    assert one[rows.editor]["visible"] and (one[rows.text], one[rows.answer]) == ("text 1", "b")
    assert one[rows.gallery].count("<li") == 1 and "data-mm-action" not in one[rows.gallery]
    saved = rows.saved(str(table), 0, "", names[1], "text one", "c", REQUEST)
    fixed = saved[rows.data]
    assert "version 1" in saved[rows.where] and "text one" in saved[rows.gallery]
    assert saved[rows.sets]["value"] == fixed and (f"{Path(fixed).name} ✎", fixed) in saved[rows.sets]["choices"]
    assert not saved[rows.editor]["visible"] and saved[rows.undo]["interactive"]
    left = rows.pressed(fixed, 0, "", pressed("drop", names[0]), REQUEST)
    assert left[rows.data] == fixed and "text 0<" not in left[rows.gallery]
    assert [row.text for row in read(Path(fixed), studio.settings).rows][:2] == ["text one", "text 2"]
    back = rows.taken_back(fixed, 0, "", REQUEST)
    assert "text 0<" in back[rows.gallery] and "version 3" in back[rows.where]
    gone = rows.saved(fixed, 0, "", "gone", "x", "y", CHINESE)
    assert "那一行已不存在" in gone[rows.where] and rows.data not in gone
    _, again = all_of(tab.drop.picked(fixed, REQUEST))
    assert "30 rows" in again[tab.drop.found] and again[tab.data] == fixed and again[rows.undo]["interactive"]
    assert table.read_bytes() == before


def test_pictures_and_recordings_can_be_seen_and_heard(tab: Train, tmp_path: Path) -> None:
    root = tmp_path / "media"
    picture(root / "a.png")
    recording(root / "b.wav")
    lines(root / "metadata.jsonl", [{"file_name": name, "text": "one"} for name in ("a.png", "b.wav")])
    _, shown = all_of(tab.drop.picked(str(root), REQUEST))
    assert '<img class="mm-thumb"' in shown[tab.rows.gallery] and '<audio class="mm-thumb"' in shown[tab.rows.gallery]
