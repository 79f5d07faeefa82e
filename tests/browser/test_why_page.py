"""Why an answer was given, in the browser, with the real starter weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.weights]
SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
LONG = 180_000


def test_a_word_that_is_picked_shows_where_the_model_looked(page: Any) -> None:
    page.locator("#mm-describe-drop input[type=file]").set_input_files(str(SAMPLES / "astronaut.jpg"))
    page.locator("#mm-describe-status").get_by_text("Done in").wait_for(timeout=LONG)
    sentence = page.locator("#mm-describe-result .mm-answer").inner_text()
    page.get_by_role("button", name="Why this answer").click()
    words = page.locator("#mm-describe-why-shown [data-mm-word]")
    words.first.wait_for(timeout=LONG)
    assert words.all_inner_texts() == [*sentence.removesuffix(".").split(), "."]
    words.nth(1).click()
    panel = page.locator("#mm-describe-why-shown [data-mm-panel]:visible")
    assert panel.count() == 1 and f"“{words.nth(1).inner_text()}”" in panel.inner_text()
    over = "box => [...box.querySelectorAll('img')].map((one) => one.getBoundingClientRect().width)"
    picture, map_ = panel.locator(".mm-look-box").evaluate(over)
    assert abs(picture - map_) < 1 and picture > 200
    first = panel.locator(".mm-heat").get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert panel.locator(".mm-heat").get_attribute("src") != first
    assert (
        words.nth(2).get_attribute("aria-pressed") == "true" and words.nth(1).get_attribute("aria-pressed") == "false"
    )
    page.get_by_text("What the model sees").click()
    page.locator(".mm-token").first.wait_for()
    assert page.locator("[data-mm-sees] img").count() == 2
    page.get_by_text("All words in a table").click()
    assert page.locator("#mm-describe-why tbody tr").count() == words.count()


def test_a_scene_of_a_video_is_explained_by_its_frame(page: Any) -> None:
    page.get_by_role("tab", name="Video").click()
    page.locator("#mm-caption-speech").get_by_label("Speech").first.uncheck()
    page.locator("#mm-video-drop input[type=file]").set_input_files(str(SAMPLES / "meadow.mp4"))
    page.locator("#mm-video-status").get_by_text("Done in").wait_for(timeout=LONG)
    page.locator("#mm-video-why").get_by_role("button", name="Why this answer").click()
    page.locator("#mm-video-why-shown [data-mm-panel]:visible .mm-heat").wait_for(timeout=LONG)
    assert "00:0" in page.locator("#mm-video-why-shown [data-mm-panel]:visible figcaption").inner_text()
