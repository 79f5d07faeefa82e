"""The page around the tabs: models, language, theme, help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.weights]
TABS = ("Describe", "Video", "Speech", "Train", "Compose", "Models")
LONG = 180_000


def row(page: Any, key: str) -> Any:
    return page.locator(f'#mm-models-table [data-mm-model="{key}"]')


def test_a_model_is_loaded_unloaded_and_removed(page: Any) -> None:
    page.get_by_role("tab", name="Models").click()
    tiny = row(page, "whisper-tiny.en")
    tiny.get_by_role("button", name="Load").click()
    tiny.get_by_text("loaded on cpu").wait_for(timeout=LONG)
    page.locator("#mm-header").get_by_text("Also loaded Whisper tiny, English").wait_for()
    tiny.get_by_role("button", name="Unload").click()
    tiny.get_by_text("in the cache").wait_for(timeout=LONG)
    page.on("dialog", lambda dialog: dialog.accept())
    row(page, "all-minilm-l6-v2").get_by_role("button", name="Remove").click()
    row(page, "all-minilm-l6-v2").get_by_text("not fetched").wait_for(timeout=LONG)
    assert "are free again" in page.locator("#mm-models-status").inner_text()


def test_a_fetch_that_nobody_answers_is_one_sentence(page: Any) -> None:
    page.get_by_role("tab", name="Models").click()
    row(page, "moonshine-base").get_by_role("button", name="Fetch").click()
    alert = page.locator("#mm-models-status [role=alert]")
    alert.wait_for(timeout=LONG)
    assert "Moonshine base" in alert.inner_text() and "Traceback" not in alert.inner_text()
    row(page, "whisper-tiny.en").get_by_role("button", name="Load").wait_for()


def test_the_language_switch_changes_every_word_and_is_remembered(page: Any) -> None:
    assert page.get_by_role("tab").all_inner_texts() == list(TABS)
    page.locator("#mm-language").click()
    page.get_by_role("tab", name="看图").wait_for()
    page.locator("#mm-header").get_by_text("设备").wait_for()
    assert page.evaluate("document.documentElement.lang").startswith("zh")
    assert page.locator("#mm-describe-go").inner_text() == "重新描述"
    page.reload()
    page.get_by_role("tab", name="模型").click()
    page.get_by_text("入门模型", exact=True).wait_for()
    page.locator("#mm-language").click()
    page.get_by_role("tab", name="Describe").wait_for()


def test_a_chinese_browser_gets_the_chinese_page(browser: Any, server: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(server)
    page.get_by_role("tab", name="看图").wait_for()
    page.locator("#mm-header").get_by_text("内存").wait_for()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen(opened: Callable[..., Any], server: str, scheme: str) -> None:
    page = opened(server, color_scheme=scheme)
    dark = "() => document.body.classList.contains('dark')"
    assert page.evaluate(dark) is (scheme == "dark")
    page.locator("#mm-theme").click()
    assert page.evaluate(dark) is (scheme == "light")
    page.reload()
    page.locator("#mm-header .mm-fact").first.wait_for()
    assert page.evaluate(dark) is (scheme == "light")


def test_options_go_back_to_their_defaults(page: Any) -> None:
    page.get_by_role("tab", name="Speech").click()
    page.get_by_role("button", name="More settings").locator("visible=true").click()
    terms = page.locator("#mm-transcribe-prompt textarea, #mm-transcribe-prompt input")
    terms.fill("Gutenberg")
    page.locator("#mm-transcribe-defaults").click()
    page.wait_for_function(
        "() => document.querySelector('#mm-transcribe-prompt textarea, #mm-transcribe-prompt input').value === ''"
    )


def test_the_choices_of_an_option_are_translated_too(opened: Callable[..., Any], server: str) -> None:
    page = opened(server)
    page.locator("#mm-language").click()
    page.get_by_role("tab", name="看图").wait_for()
    page.get_by_role("button", name="更多设置").locator("visible=true").click()
    box = page.locator("#mm-describe-read_text input")
    assert box.input_value() == "自动"
    box.click()
    assert [words.split()[-1] for words in page.locator("ul [role=option]").all_inner_texts()] == ["自动", "是", "否"]


@pytest.mark.parametrize(
    ("width", "scheme", "language", "said"),
    [
        (1280, "light", "en", "answers get worse"), (1280, "dark", "zh", "回答质量下降"),
        (390, "light", "zh", "在本机上比“自动”慢"), (390, "dark", "en", "slower here than Auto"),
    ],
)  # fmt: skip
def test_a_quantization_that_is_known_to_be_worse_says_so_in_the_list(
    opened: Callable[..., Any], server: str, width: int, scheme: str, language: str, said: str
) -> None:
    page = opened(server, width, color_scheme=scheme)
    if language == "zh":
        page.locator("#mm-language").click()
        page.get_by_role("tab", name="看图").wait_for()
    page.locator("#mm-describe-model input").click()
    page.get_by_role("option", name="SmolVLM2 256M").click()
    page.locator("#mm-header").get_by_text("SmolVLM2 256M").wait_for()
    page.get_by_role("button", name="More settings" if language == "en" else "更多设置").locator("visible=true").click()
    box = page.locator("#mm-describe-quantization input")
    box.click()
    lines = page.locator("ul [role=option]")
    lines.filter(has_text=said).first.wait_for()
    assert len(lines.all_inner_texts()) >= 4 and lines.filter(has_text="·").count() >= 2
    lines.filter(has_text=said).first.click()
    assert said in box.input_value()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_before_the_first_request_the_header_says_which_models_will_answer(
    fresh_server: Callable[[], Any], opened: Callable[..., Any]
) -> None:
    with fresh_server() as address:
        page = opened(address)
        header = page.locator("#mm-header")
        assert "○ Starter describer (loads on first use)" in " ".join(header.inner_text().split())
        page.locator("#mm-describe-model input").click()
        page.get_by_role("option", name="SmolVLM2 256M").click()
        header.get_by_text("SmolVLM2 256M").wait_for()
        page.close()


def test_the_help_opens_and_closes_with_the_keyboard(page: Any) -> None:
    page.locator("#mm-help").press("Enter")
    page.get_by_role("dialog", name="Help").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Help").wait_for(state="hidden")
