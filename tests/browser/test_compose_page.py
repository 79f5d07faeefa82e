"""A model composed in the browser from fresh parts, trained there, used and asked why; search without a model."""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import LONG, link, serving

pytestmark = [pytest.mark.browser, pytest.mark.weights]


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Pictures of three colours with their names, as a zip."""
    path = tmp_path / "squares.zip"
    with zipfile.ZipFile(path, "w") as packed:
        rows = [["file_name", "caption"]]
        for place in range(24):
            colour = ("red", "green", "blue")[place % 3]
            Image.new("RGB", (32, 32), colour).save(tmp_path / "one.png")
            packed.write(tmp_path / "one.png", f"{place}.png")
            rows.append([f"{place}.png", f"A {colour} square."])
        with (tmp_path / "metadata.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        packed.write(tmp_path / "metadata.csv", "metadata.csv")
    return path


@pytest.fixture
def page(opened: Callable[..., Any], home: Path, tmp_path: Path) -> Iterator[Any]:
    """The page of a studio of its own: what is composed and trained here is no other test's."""
    here = tmp_path / "home"
    shutil.copytree(home / "models", here / "models", copy_function=link)
    with serving(here) as address:
        page = opened(address)
        yield page
        page.close()


def pick(page: Any, field: str, name: str) -> None:
    page.locator(f"#mm-compose-{field} input").click()
    page.get_by_role("option", name=name).first.click()


def test_a_chain_is_drawn_composed_trained_used_and_explained(page: Any, squares: Path) -> None:
    page.get_by_role("tab", name="Compose").click()
    diagram = page.locator("#mm-compose-diagram")
    diagram.get_by_text("81 × 576").wait_for(timeout=LONG)
    pick(page, "projector", "Siamese towers")
    page.locator("#mm-compose-language").get_by_text("Not used").wait_for(timeout=LONG)
    assert all(page.locator(f"#mm-compose-{field} input").is_disabled() for field in ("fusion", "language"))
    diagram.get_by_text("Common space").wait_for(timeout=LONG)
    pick(page, "projector", "Two layers (MLP)")
    diagram.get_by_text("81 × 576").wait_for(timeout=LONG)
    pick(page, "fusion", "Cross-attention")
    diagram.locator("[role=alert]").get_by_text("has no cross-attention of its own").wait_for(timeout=LONG)
    pick(page, "vision", "Fresh patches")
    pick(page, "fusion", "Learned queries")
    pick(page, "language", "Fresh LSTM")
    diagram.get_by_text("fusion_lstm").wait_for(timeout=LONG)
    assert diagram.locator(".mm-link").count() == 5 and diagram.locator(".mm-frozen").count() == 0
    page.locator("#mm-compose-name").get_by_role("textbox").fill("tiny eyes")
    page.locator("#mm-compose-go").click()
    page.locator("#mm-compose-status").get_by_text("Composed: tiny eyes").wait_for(timeout=LONG)
    assert page.locator("#mm-compose-model input").input_value() == "tiny eyes"
    page.locator("#mm-compose-drop input[type=file]").set_input_files(squares)
    page.locator("#mm-chain_data-status").get_by_text("24 rows are ready").wait_for(timeout=LONG)
    page.get_by_role("tab", name="Search by text").click()
    page.locator("#mm-align-texts textarea").fill("a red square\nthe sea at night")
    page.locator("#mm-align-drop input[type=file]").set_input_files(squares.with_name("one.png"))
    page.locator("#mm-align-result").get_by_text("Nearest to “a red square”").wait_for(timeout=LONG)
    page.get_by_role("tab", name="Build a model").click()
    minutes = page.locator("#mm-compose-minutes input")
    minutes.fill("0.4")  # in less a slow machine learns too little to say a word
    minutes.press("Tab")
    page.locator("#mm-compose-train").click()
    page.locator("#mm-compose-report .mm-verdict").wait_for(timeout=LONG)
    page.locator("#mm-compose-use").click()
    page.locator("#mm-describe-drop input[type=file]").set_input_files(squares.with_name("one.png"))
    page.locator("#mm-describe-status").get_by_text("Done in").wait_for(timeout=LONG)
    assert "squares" in page.locator("#mm-describe-model input").input_value(), (
        "what was trained, not what was composed"
    )
    page.get_by_role("button", name="Why this answer").click()
    page.locator("#mm-describe-why-shown [data-mm-panel]:visible .mm-heat").wait_for(timeout=LONG)
