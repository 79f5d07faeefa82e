"""A result is corrected and kept for training in the browser, with the real starter weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_filled_page import SMALL, UNNAMED, fill

pytestmark = [pytest.mark.browser, pytest.mark.weights]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_sentence_is_corrected_kept_and_found_in_the_users_folder_by_keyboard(
    opened: Callable[..., Any], server: str, home: Path, scheme: str
) -> None:
    page = opened(server, width=390, color_scheme=scheme)
    fill(page, "card")
    page.get_by_role("button", name="Correct and keep for training").locator("visible=true").press("Enter")
    text = page.get_by_role("textbox", name="What is right").locator("visible=true")
    text.wait_for()
    before = text.input_value()
    text.fill(f"Corrected in {scheme}.")
    box = page.locator("#mm-describe-keep-set input")
    box.click()
    page.keyboard.press("Control+a")
    box.press_sequentially("From the page")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Keep for training", exact=True).locator("visible=true").press("Enter")
    page.locator("#mm-describe-keep-said").get_by_text("Kept in “From the page”").wait_for()
    rows = (home / "datasets" / "From the page" / "metadata.jsonl").read_text("utf-8").splitlines()
    row = json.loads(rows[-1])
    assert row["after"] == f"Corrected in {scheme}."
    assert row["before"] and before and row["model"] == "starter-describer"
    assert (home / "datasets" / "From the page" / row["file_name"]).stat().st_size > 1000
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(SMALL) == [] and page.evaluate(UNNAMED) == []
