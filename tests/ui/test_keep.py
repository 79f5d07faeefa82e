"""A result is corrected and kept: the pair, with its file, its part and its model, in a set of the user's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mmdemo.datasets import read
from mmdemo.datasets.corrections import Corrections
from mmdemo.results import Description, Transcript
from mmdemo.settings import Settings
from mmdemo.ui import files
from mmdemo.ui.keep import DEFAULT, of_description, of_segments
from mmdemo.ui.tabs.describe import Describe
from mmdemo.ui.tabs.speech import Speech
from mmdemo.ui.tabs.video import Video
from tests.ui.handling import CHINESE, FROM, REQUEST, all_of, placed


@pytest.fixture
def own(studio: Any) -> Corrections:
    return Corrections(studio.settings)


def test_a_corrected_sentence_is_kept_with_its_picture(studio: Any, own: Corrections, tmp_path: Path) -> None:
    tab = placed(Describe, studio)
    source = next(path for path in files.samples(files.PICTURES))
    path = Path(shutil.copy(source, tmp_path / source.name))
    updates, shown = all_of(tab.dropped([str(path)], *tab.form.defaults(), REQUEST))
    assert updates[0][tab.keep.fold]["visible"] is False, "there is nothing to keep yet"
    assert shown[tab.keep.fold]["visible"] is True and shown[tab.keep.which]["visible"] is False
    assert shown[tab.keep.text] == "a brown dog runs through the grass"
    assert shown[tab.keep.set]["value"] == DEFAULT
    done = tab.keep.keep(shown[tab.keep.items], 0, "A brown dog runs.", "My dogs", REQUEST)
    assert "Kept in “My dogs” (rows: 1, version: 1)." in done[tab.keep.said]
    assert done[tab.keep.set]["choices"] == ["My dogs"]
    (row,) = own.rows("My dogs")
    assert (row.before, row.after) == ("a brown dog runs through the grass", "A brown dog runs.")
    assert (row.model, row.task) == ("starter-describer", "image-to-text")
    (found,) = read(own.path("My dogs"), studio.settings).rows
    assert found.image is not None and found.image.read_bytes() == source.read_bytes()


def test_an_answer_is_kept_with_its_question(studio: Any, own: Corrections, tmp_path: Path) -> None:
    tab = placed(Describe, studio)
    paths = [str(shutil.copy(files.samples(files.PICTURES)[0], tmp_path / f"{n}.jpg")) for n in range(2)]
    _, shown = all_of(tab.asked("A dog?", paths, *tab.form.defaults(), REQUEST))
    assert [title for title, _ in shown[tab.keep.which]["choices"]] == ["0.jpg", "1.jpg"]
    after = tab.keep.keep(shown[tab.keep.items], 0, "Yes.", "s", REQUEST)
    assert after[tab.keep.which]["value"] == 1, "the next is chosen"
    assert after[tab.keep.which]["choices"][0] == ("✓ 0.jpg", 0)
    (row,) = own.rows("s")
    assert (row.question, row.task, row.after) == ("A dog?", "image-text-to-text", "Yes.")


def test_cues_of_videos_and_recordings_are_kept_with_their_times(studio: Any, own: Corrections, tmp_path: Path) -> None:
    film = Path(shutil.copy(files.SAMPLES / "clip.mp4", tmp_path / "clip.mp4"))
    tab = placed(Video, studio)
    _, shown = all_of(tab.given(str(film), *tab.form.defaults(), REQUEST))
    titles = [title for title, _ in shown[tab.keep.which]["choices"]]
    assert titles[0].startswith("00:00.0 ") and len(titles) == 3
    assert tab.keep.choose(shown[tab.keep.items], 1) == ("in being", "")
    tab.keep.keep(shown[tab.keep.items], 0, "A white rabbit on a table.", "film", REQUEST)
    tab.keep.keep(shown[tab.keep.items], 1, "In being", "film", REQUEST)
    assert [(row.task, row.start, row.end, row.language) for row in own.rows("film")] == [
        ("video-text-to-text", 0.0, 2.5, ""), ("automatic-speech-recognition", 0.4, 2.2, "en"),
    ]  # fmt: skip

    tab = placed(Speech, studio)
    sound = Path(shutil.copy(next(iter(files.samples(files.SOUNDS))), tmp_path / "talk.wav"))
    _, shown = all_of(tab.given([str(sound)], *tab.form.defaults(), REQUEST))
    tab.keep.keep(shown[tab.keep.items], 1, "In being, comparatively", "speech", REQUEST)
    (found,) = read(own.path("speech"), studio.settings).rows
    assert (found.start, found.end, found.targets) == (0.4, 2.2, ("In being, comparatively",))
    assert found.audio is not None and found.audio.read_bytes() == sound.read_bytes()


def test_what_cannot_be_kept_is_said_in_the_persons_language(studio: Any, own: Corrections, tmp_path: Path) -> None:
    tab = placed(Describe, studio)
    path = shutil.copy(files.samples(files.PICTURES)[0], tmp_path / "a.jpg")
    _, shown = all_of(tab.dropped([str(path)], *tab.form.defaults(), REQUEST))
    items = shown[tab.keep.items]
    assert "没有可保留的文本" in tab.keep.keep(items, 0, " ", "s", CHINESE)[tab.keep.said]
    assert "cannot be the name of a data set" in tab.keep.keep(items, 0, "a", "../s", REQUEST)[tab.keep.said]
    assert 'role="alert"' in tab.keep.keep([], None, "a", "s", REQUEST)[tab.keep.said]
    assert own.names() == []


def test_what_failed_or_is_empty_is_not_offered() -> None:
    assert of_description(Description("a.jpg", "", FROM, error="broken")) == []
    assert of_segments(Transcript("a.wav", (), FROM)) == []


def test_the_set_is_in_the_studios_home(studio: Any) -> None:
    assert Corrections(studio.settings).folder == Path(Settings(home=studio.settings.home).home) / "datasets"
