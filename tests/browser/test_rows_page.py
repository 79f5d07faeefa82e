"""Rows of a data set are looked at, corrected and left out in the browser, on a phone and by keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdemo.datasets import read
from mmdemo.settings import Settings
from tests.browser.test_filled_page import SMALL, UNNAMED

pytestmark = [pytest.mark.browser, pytest.mark.weights]


@pytest.mark.parametrize(("width", "scheme", "language"), [(1280, "light", "en"), (390, "dark", "zh")])
def test_a_row_is_corrected_and_left_out_and_the_file_stays(
    opened: Callable[..., Any], server: str, home: Path, tmp_path: Path, width: int, scheme: str, language: str
) -> None:
    table = tmp_path / f"moods-{language}.csv"
    table.write_text("text,label\n" + "".join(f"words {n},{'ab'[n % 2]}\n" for n in range(20)), encoding="utf-8")
    page = opened(server, width=width, color_scheme=scheme)
    if language == "zh":
        page.get_by_role("button", name="中文").click()
    page.get_by_role("tab", name={"en": "Train", "zh": "训练"}[language]).click()
    page.locator("#mm-train-drop input[type=file]").set_input_files(table)
    cards = page.locator("#mm-rows-gallery li")
    cards.first.wait_for()
    assert cards.count() == 12
    page.locator("#mm-rows-after").click()
    cards.get_by_text("words 19").wait_for()
    page.locator("#mm-rows-find textarea, #mm-rows-find input").fill("words 3")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('#mm-rows-gallery li').length == 1")
    edit, drop = (page.locator(f"#mm-rows-gallery [data-mm-action={action}]") for action in ("edit", "drop"))
    edit.press("Enter")
    answer = page.locator("#mm-rows-answer textarea")
    answer.wait_for()
    page.wait_for_function("document.activeElement === document.querySelector('#mm-rows-answer textarea')")
    assert answer.input_value() == "b"
    answer.fill("better")
    page.locator("#mm-row-save").press("Enter")
    where = page.locator("#mm-rows-where")
    where.get_by_text({"en": "version 1", "zh": "版本 1"}[language]).wait_for()
    drop.press("Enter")
    where.get_by_text({"en": "version 2", "zh": "版本 2"}[language]).wait_for()
    page.locator("#mm-rows-undo").press("Enter")
    where.get_by_text({"en": "version 3", "zh": "版本 3"}[language]).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(SMALL) == [] and page.evaluate(UNNAMED) == []
    page.locator("#mm-rows-again").click()
    page.locator("#mm-train-found").get_by_text("better 1").wait_for()
    (folder,) = (home / "fixed").glob(f"{table.stem}-*")
    rows = {row.text: row.label for row in read(folder, Settings(home=str(home))).rows}
    assert len(rows) == 20 and rows["words 3"] == "better"
    source = Path(json.loads((folder / "edits.jsonl").read_text("utf-8").splitlines()[0])["source"])
    assert source.read_bytes() == table.read_bytes()
