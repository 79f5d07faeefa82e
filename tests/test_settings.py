"""Settings: from the environment, from keywords, or the defaults; what is wrong is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from mmdemo.errors import InputError, UnknownName
from mmdemo.settings import PREFIX, Settings


def test_nothing_set_gives_the_defaults_and_the_users_data_folder() -> None:
    settings = Settings.load({})
    assert settings == Settings(home=settings.home)
    assert Path(settings.home).is_absolute()
    assert Path(settings.home).name == "mmdemo"


def test_the_environment_sets_every_kind(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "MMDEMO_HOME": str(tmp_path),
            "MMDEMO_OFFLINE": "Yes",
            "MMDEMO_THREADS": " 3 ",
            "MMDEMO_MEMORY_GB": "1.5",
            "MMDEMO_DEVICE": "cpu",
            "PATH": "/bin",
        }
    )
    assert settings == Settings(home=str(tmp_path), offline=True, threads=3, memory_gb=1.5, device="cpu")
    assert settings.models_folder == tmp_path / "models"
    assert settings.page_folder == tmp_path / "cache" / "page"


def test_the_page_is_for_this_machine_alone_unless_it_is_told_otherwise() -> None:
    assert (Settings().host, Settings().port) == ("127.0.0.1", 7860)
    told = Settings.load({"MMDEMO_HOST": "0.0.0.0", "MMDEMO_PORT": "8000", "HOST": "other", "PORT": "1"})
    assert (told.host, told.port) == ("0.0.0.0", 8000)
    assert Settings.load({"MMDEMO_HOST": "0.0.0.0"}, host="::1").host == "::1"


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("on", True), ("0", False), ("No", False), ("OFF", False)]
)
def test_yes_and_no_have_several_words(text: str, value: bool) -> None:
    assert Settings.load({"MMDEMO_OFFLINE": text}).offline is value


def test_a_keyword_wins_over_the_environment() -> None:
    assert Settings.load({"MMDEMO_THREADS": "3"}, threads=5).threads == 5


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Settings.load({"MMDEMO_THREADS": "", "MMDEMO_OFFLINE": " "}) == Settings.load({})


def test_a_tilde_is_the_users_folder() -> None:
    assert Settings.load({"MMDEMO_HOME": "~/pictures"}).home == str(Path.home() / "pictures")


def test_a_variable_that_is_no_setting_lists_those_that_are() -> None:
    with pytest.raises(UnknownName) as caught:
        Settings.load({"MMDEMO_THREAD": "3"})
    assert str(caught.value).startswith("There is no setting 'MMDEMO_THREAD'; choose from: MMDEMO_HOME, ")
    assert "MMDEMO_THREADS" in str(caught.value)


def test_a_keyword_that_is_no_setting_lists_those_that_are() -> None:
    with pytest.raises(UnknownName, match="no setting 'thread'; choose from: home"):
        Settings.load({}, thread=3)


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("MMDEMO_OFFLINE", "maybe", "yes or no"),
        ("MMDEMO_THREADS", "two", "a whole number"),
        ("MMDEMO_THREADS", "2.5", "a whole number"),
        ("MMDEMO_THREADS", "-1", "a whole number, 0 or more"),
        ("MMDEMO_MEMORY_GB", "lots", "a number"),
        ("MMDEMO_MEMORY_GB", "nan", "a number, 0 or more"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_it_must_be(variable: str, text: str, wanted: str) -> None:
    with pytest.raises(InputError) as caught:
        Settings.load({variable: text})
    assert str(caught.value) == f"{variable} is {text!r}, but must be {wanted}."


def test_every_setting_has_a_sentence_of_help() -> None:
    for field in fields(Settings):
        assert field.metadata["help"].endswith("."), f"{PREFIX}{field.name.upper()}"
