"""The code of a model runs only after somebody allowed it, by its whole key, and until they take that back."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdemo import trusted_code
from mmdemo.errors import InputError
from mmdemo.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), trust_remote_code="hub:named/one")


def test_nothing_is_trusted_but_what_the_settings_name(settings: Settings) -> None:
    assert trusted_code.trusts("hub:named/one", settings)
    assert not trusted_code.trusts("hub:other/one", settings)
    assert trusted_code.allowed(settings) == ()


def test_a_model_is_allowed_and_forbidden_again(settings: Settings) -> None:
    trusted_code.allow("hub:a/b", settings)
    trusted_code.allow("folder:/m", settings)
    trusted_code.allow("hub:a/b", settings)
    assert trusted_code.allowed(settings) == ("folder:/m", "hub:a/b")
    assert not trusted_code.trusts("hub:a/bc", settings)
    trusted_code.forbid("hub:a/b", settings)
    assert trusted_code.allowed(settings) == ("folder:/m",)


def test_what_the_settings_name_is_taken_back_there(settings: Settings) -> None:
    with pytest.raises(InputError, match="take it out there"):
        trusted_code.forbid("hub:named/one", settings)


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "\xff"])
def test_a_broken_list_trusts_nobody(text: str, settings: Settings) -> None:
    path = Path(settings.home) / trusted_code.FILE
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    assert not trusted_code.trusts("hub:a/b", settings), "and no model that brings no code is held up by it"
    assert trusted_code.trusts("hub:named/one", settings)
    with pytest.raises(InputError, match="remove it to trust none"):
        trusted_code.allow("hub:a/b", settings)
    assert path.read_text(encoding="latin-1") == text, "what the user wrote is kept"


def test_no_model_is_no_wish(settings: Settings) -> None:
    with pytest.raises(InputError, match="No model is named"):
        trusted_code.allow("  ", settings)
