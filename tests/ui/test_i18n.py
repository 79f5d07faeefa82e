"""Every word of the page is there in both languages."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

import pytest

from mmdemo.datasets.rows import MEDIA, SPLITS
from mmdemo.options import meta
from mmdemo.training.ballot import CHOICES as VOTES
from mmdemo.ui import i18n, panels
from mmdemo.ui.tabs import TABS
from mmdemo.ui.taking import FORMS
from mmdemo.ui.trials_view import STATES

SOURCES = Path(i18n.__file__).parent
CHOICES = tuple(
    choice
    for task in i18n.FORMS
    for field in dataclasses.fields(i18n.options_of(task))
    for choice in meta(field).choices
)


def keys_in_the_code() -> set[str]:
    """Keys named in calls of `say` and `label`, those put together from a list included."""
    text = "\n".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py"))
    found = set(re.findall(r'\b(?:say|label)\(\s*"([a-z_]+)"[,)]', text))
    found |= set(re.findall(r'"((?:drop|intro|col|kind|state|action|choice|task|working|download)_[a-z]+)"', text))
    return found


def test_every_word_of_the_catalogue_is_used() -> None:
    prefixes = (
        "choice_", "help_", "tab_", "working_", "action_", "kind_", "task_", "download_", "col_", "job_", "split_",
        "media_", "form_", "trial_", "vote_", "row_do_", "modality_", "region_", "without_",
    )  # fmt: skip
    text = "\n".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py"))
    named = set(re.findall(r"""["']([a-z_]+)["']""", text))
    assert {key for key in i18n.catalogue()["ui"] if key not in named and not key.startswith(prefixes)} == set()


def test_every_key_that_the_code_names_has_words() -> None:
    missing = keys_in_the_code() - set(i18n.catalogue()["ui"])
    assert len(keys_in_the_code()) > 60
    assert missing == set()


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("choice", CHOICES),
        ("help", panels.GUIDE),
        ("tab", tuple(tab.name for tab in TABS)),
        ("task", ("describe", "transcribe", "talk", "embed", "classify", "speak", "vocode")),
        ("action", ("fetch", "load", "unload", "remove")),
        ("kind", ("speech", "scene")),
        ("working", ("question", "export", *(tab.name for tab in TABS))),
        (
            "job",
            (
                "queued",
                "running",
                "stopping",
                "stopped",
                "done",
                "failed",
                "lost",
                "working",
                "working_train",
                "working_search",
            ),
        ),
        ("job_do", ("show", "stop", "resume", "remove")),
        ("split", SPLITS),
        ("media", MEDIA),
        ("form", FORMS),
        ("trial", STATES),
        ("vote", (*VOTES, "better", "worse", "open")),
        ("download", ("srt", "vtt", "json", "txt")),
        ("col", ("model", "task", "size", "parameters", "licence", "state", "actions")),
    ],
)
def test_keys_that_are_put_together_have_words(prefix: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert i18n.say(f"{prefix}_{name}") and i18n.say(f"{prefix}_{name}", "zh")


def test_both_languages_have_words_with_the_same_blanks_to_fill() -> None:
    for key, words in i18n.catalogue()["ui"].items():
        assert len(words) == 2 and all(words), key
        blanks = [{name for _, name, _, _ in Formatter().parse(one) if name} for one in words]
        assert blanks[0] == blanks[1], key


@pytest.mark.parametrize("task", i18n.FORMS)
def test_every_option_of_a_task_is_translated(task: str) -> None:
    chinese = i18n.catalogue()["options"]
    missing = [words for words in i18n.option_words(task).values() if not chinese.get(words)]
    assert missing == []


def test_the_chinese_of_the_options_names_only_options_that_exist() -> None:
    used = {words for task in i18n.FORMS for words in i18n.option_words(task).values()}
    assert set(i18n.catalogue()["options"]) - used == set()


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        i18n.say("no_such_key")
    with pytest.raises(KeyError):
        i18n.label("no_such_key")


@pytest.mark.parametrize(
    ("cookie", "accepts", "language"),
    [
        (None, "zh-CN,zh;q=0.9", "zh"),
        (None, "de-DE,de", "en"),
        ("en", "zh-CN", "en"),
        ("zh", "en-US", "zh"),
        (None, "", "en"),
    ],
)
def test_the_switch_wins_over_the_browser(cookie: str | None, accepts: str, language: str) -> None:
    cookies = {i18n.COOKIE: cookie} if cookie else {}
    request = SimpleNamespace(request=object(), cookies=cookies, headers={"accept-language": accepts})
    assert i18n.language_of(request) == language  # type: ignore[arg-type]


def test_without_a_request_it_is_english() -> None:
    assert i18n.language_of(None) == "en"
