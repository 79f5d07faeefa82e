"""When a model was last used: written down seldom, whole, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mmdemo import folders
from mmdemo.catalog import Local, ModelSpec
from mmdemo.runtime.sources import remove, usage
from mmdemo.settings import Settings

Row = Callable[..., ModelSpec]


def test_a_use_is_remembered_and_forgotten_with_the_files(row: Row, settings: Settings) -> None:
    spec = row()
    assert usage.last(spec, settings) is None
    usage.note(spec, settings)
    when = usage.last(spec, settings)
    assert when is not None and timedelta(0) <= datetime.now(UTC) - when < timedelta(minutes=1)
    remove(spec, settings)
    assert usage.last(spec, settings) is None


def test_it_is_not_written_again_within_a_minute(row: Row, settings: Settings) -> None:
    spec = row()
    path = settings.models_folder / ".used" / spec.key
    usage.note(spec, settings)
    for seconds, again in ((30, False), (61, True), (-600, True)):  # the last: the clock was set back
        before = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        path.write_text(before)
        usage.note(spec, settings)
        assert (path.read_text() != before) is again, seconds
    assert [file.name for file in path.parent.iterdir()] == [spec.key]


@pytest.mark.parametrize("words", [b"", b"yesterday", b"\xff\xfe", b"2026-01-01T00:00:00"])
def test_a_broken_note_is_none(words: bytes, row: Row, settings: Settings) -> None:
    spec = row()
    usage.note(spec, settings)
    (settings.models_folder / ".used" / spec.key).write_bytes(words)
    assert usage.last(spec, settings) is None


def test_a_disk_that_refuses_does_not_keep_a_model_from_being_used(row: Row, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    usage.note(row(), Settings(home=str(tmp_path)))


def test_nothing_is_kept_of_a_folder_of_the_users_own(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    spec = folders.spec_of(tmp_path / "mine")
    assert isinstance(spec.sources[0], Local)
    usage.note(spec, settings)
    assert usage.last(spec, settings) is None and not settings.models_folder.exists()
