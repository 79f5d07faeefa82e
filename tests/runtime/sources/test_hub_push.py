"""A folder goes to a repository of the Hub in one commit, with the token of the environment, and only when online."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdemo.errors import InputError, Unreachable
from mmdemo.runtime.sources.hub_push import push
from mmdemo.settings import Settings
from tests.hub_server import Hub, receiving


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    with receiving(monkeypatch, tmp_path / "hf") as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (made / "README.md").write_text("# tuned\n")
    return made


def test_a_folder_is_uploaded_whole_and_private(hub: type[Hub], folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    settings = Settings(home=str(tmp_path / "home"))
    place = push(folder, "me/tuned", settings, report=lambda progress: told.append(progress.stage))
    assert place.endswith("/me/tuned")
    assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert hub.made[0]["visibility"] == "private" and hub.tokens == {"Bearer hf_mine"}
    assert set(told) == {"Uploading me/tuned"}
    hub.refusing = True
    with pytest.raises(Unreachable, match="refuses me/tuned to this user: set HF_TOKEN"):
        push(folder, "me/tuned", settings)


def test_nothing_is_uploaded_offline_or_without_a_token(
    hub: type[Hub], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = str(tmp_path / "home")
    with pytest.raises(Unreachable, match="The studio is offline, so nothing is uploaded"):
        push(folder, "me/tuned", Settings(home=home, offline=True))
    with pytest.raises(InputError, match="give owner/name"):
        push(folder, "tuned", Settings(home=home))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="There is no token for the Hub"):
        push(folder, "me/tuned", Settings(home=home))
    assert (hub.files, hub.made, hub.tokens) == ({}, [], set())
