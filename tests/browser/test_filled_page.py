"""The page with results on it: nothing scrolls sideways, every control has a name, the keyboard reaches everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.weights]
SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
PICTURES = [str(path) for path in sorted(SAMPLES.glob("*.jpg"))]
LONG = 180_000
VIEWS = ("card", "gallery", "video", "speech", "models")
UNNAMED = """() => [...document.querySelectorAll("button, a, input, select, textarea, audio, video, img")]
  .filter((one) => one.offsetParent !== null && one.checkVisibility({ visibilityProperty: true }))
  .filter((one) => !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.innerText?.trim()
    || one.title || one.labels?.length || one.alt !== undefined && one.hasAttribute("alt")))
  .map((one) => one.outerHTML.slice(0, 200))"""
SMALL = """() => [...document.querySelectorAll(
    ".mm-go, .mm-ask, .mm-stop, .mm-sample, .mm-small, .mm-seek, .mm-action, .mm-switches button")]
  .filter((one) => one.offsetParent !== null && one.getBoundingClientRect().height < 44)
  .map((one) => one.innerText)"""
REACHABLE = """() => {
  const kinds = "button, a[href], input, textarea, summary, audio, video, [tabindex='0']";
  const found = [...document.querySelectorAll(kinds)]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0)
    .filter((one) => one.getBoundingClientRect().width > 1);
  for (const one of found) one.dataset.test = "waiting";
  return found.length;
}"""
MARK = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "outside";
  const style = getComputedStyle(one);
  const drawn = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
  one.dataset.test = "reached";
  return drawn ? "" : one.outerHTML.slice(0, 160);
}"""


def fill(page: Any, view: str) -> None:
    """Bring a kind of result onto the page."""
    tab = {"card": "describe", "gallery": "describe"}.get(view, view)
    page.get_by_role("tab", name=tab.capitalize()).click()
    files = {"card": PICTURES[:1], "gallery": PICTURES, "video": [str(SAMPLES / "clip.mp4")],
             "speech": [str(SAMPLES / "story.flac")]}.get(view)  # fmt: skip
    if files is None:
        page.locator("#mm-models-table tbody tr").first.wait_for()
        return
    if view == "speech":
        page.get_by_role("button", name="More settings").locator("visible=true").click()
        page.locator("#mm-transcribe-words input").check()
    page.locator(f"#mm-{tab}-drop input[type=file]").set_input_files(files)
    result = {"card": ".mm-card .mm-from", "gallery": ".mm-tile", "video": "#mm-video-cues .mm-from",
              "speech": "#mm-speech-result .mm-word"}[view]  # fmt: skip
    page.locator(result).first.wait_for(timeout=LONG)
    page.locator(f"#mm-{tab}-status").get_by_text("Done in").wait_for(timeout=LONG)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_at_390_pixels_a_result_fits_its_controls_are_large_enough_and_have_names(
    opened: Callable[..., Any], server: str, view: str, scheme: str
) -> None:
    page = opened(server, width=390, color_scheme=scheme)
    fill(page, view)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(SMALL) == []
    assert page.evaluate(UNNAMED) == []


@pytest.mark.parametrize("view", VIEWS)
def test_the_tab_key_reaches_everything_and_shows_where_it_is(page: Any, view: str) -> None:
    fill(page, view)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    assert page.evaluate(REACHABLE) > 15
    invisible = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        invisible.add(page.evaluate(MARK))
        if page.locator("[data-test=waiting]").count() == 0:
            break
    left = page.locator("[data-test=waiting]").evaluate_all("all => all.map((one) => one.outerHTML.slice(0, 160))")
    assert left == []
    assert invisible - {"", "outside"} == set()
