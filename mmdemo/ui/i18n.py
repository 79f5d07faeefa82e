"""Words in English and 简体中文, from one catalogue, `strings.json`.

Labels of components are translated in the browser by `gr.I18n`, which follows `navigator.language`; what the server
writes on the page is translated here, and what the core says (errors, notes, what it is doing) in `sentences`. All
follow one cookie, set by the language switch: a script at the very top of the page puts it in place of the browser's
own language before Gradio reads that. The API and the command line speak English.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import tasks
from mmdemo.chains import Compose
from mmdemo.options import meta
from mmdemo.training.config import TrainOptions
from mmdemo.training.search_config import SearchOptions

COOKIE = "mmdemo_language"
LANGUAGES = ("en", "zh")
TRAIN, TRIALS, COMPOSE = "train", "trials", "compose"
FORMS = (*tasks.TASKS, TRAIN, TRIALS, COMPOSE)
"""Names of options that are a form on the page."""


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """The catalogue: `ui` (key → English, Chinese), `options` and `sentences` (English → Chinese)."""
    return json.loads((Path(__file__).parent / "strings.json").read_text("utf-8"))  # type: ignore[no-any-return]


def say(key: str, language: str = "en", **values: object) -> str:
    """The words of `key` in `language`, with `values` put in.

    Raises:
        KeyError: for a key the catalogue does not have.
    """
    words: str = catalogue()["ui"][key][LANGUAGES.index(language)]
    return words.format(**values) if values else words


def label(key: str) -> gr.I18nData:
    """The words of `key`, translated in the browser: for labels, button values, tab names."""
    if key not in catalogue()["ui"]:
        raise KeyError(key)
    return _translations()(f"mm_{key}")


def option_label(task: str, field: str, part: str) -> gr.I18nData:
    """The `label` or `help` of an option, translated in the browser."""
    return _translations()(f"mm_{task}_{field}_{part}")


def option_help(task: str, field: str, language: str) -> str:
    """The help of an option in `language`, for what the server writes."""
    words = option_words(task)[f"mm_{task}_{field}_help"]
    chinese: str = catalogue()["options"].get(words, words)
    return chinese if language == "zh" else words


def options_of(name: str) -> type[Any]:
    """The options dataclass of one of `FORMS`."""
    own: dict[str, type[Any]] = {TRAIN: TrainOptions, TRIALS: SearchOptions, COMPOSE: Compose}
    return own.get(name) or tasks.get(name).options


def option_words(task: str) -> dict[str, str]:
    """Every label and help of a task's options: key in the browser → English."""
    return {
        f"mm_{task}_{field.name}_{part}": words
        for field in dataclasses.fields(options_of(task))
        for part, words in (("label", meta(field).label), ("help", meta(field).help))
        if words
    }


@cache
def _translations() -> Any:
    """The object Gradio hands to the browser. An untranslated option is shown in English; a test tells."""
    english = {f"mm_{key}": words[0] for key, words in catalogue()["ui"].items()}
    chinese = {f"mm_{key}": words[1] for key, words in catalogue()["ui"].items()}
    for task in FORMS:
        for key, words in option_words(task).items():
            english[key] = words
            chinese[key] = catalogue()["options"].get(words, words)
    # Gradio picks "zh-CN" itself where the browser says so, and "zh" or "zh-TW" elsewhere.
    return gr.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


translations = _translations


def language_of(request: gr.Request | None) -> str:
    """The language of the person who asks: the switch's cookie, else the browser's first choice, else English."""
    if request is None or request.request is None:
        return "en"
    chosen = request.cookies.get(COOKIE) or request.headers.get("accept-language", "")
    return "zh" if chosen.lower().startswith("zh") else "en"
