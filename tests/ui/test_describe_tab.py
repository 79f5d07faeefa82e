"""What the tab of pictures does with a studio's answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from mmdemo.results import Provenance, Transcript
from mmdemo.ui.tabs.describe import Describe, styles
from tests.ui.handling import CHINESE, REQUEST, all_of, placed


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), "green").save(path)
    return path


def test_a_picture_is_described_as_soon_as_it_is_dropped(studio: Any, photo: Path) -> None:
    studio.pause = 0.03
    tab = placed(Describe, studio)
    updates, shown = all_of(tab.dropped([str(photo)], *tab.form.defaults(), REQUEST))
    assert studio.asked[0][:2] == ("describe", [photo])
    texts = [update[tab.result] for update in updates if tab.result in update]
    assert any("mm-caret" in text for text in texts), "words stream"
    assert "a brown dog runs through the grass" in shown[tab.result] and "62 %" in shown[tab.result]
    assert "Done in" in shown[tab.bench.status]
    assert shown[tab.area.drop] is None, "the drop area takes the next file"
    assert shown[tab.paths] == [str(photo)], "the picture is kept for another try"
    assert shown[tab.json]["value"].endswith("photo.json") and shown[tab.csv]["value"].endswith("photo.csv")


def test_stop_can_be_pressed_from_the_first_moment_and_not_afterwards(studio: Any, photo: Path) -> None:
    tab = placed(Describe, studio)
    updates, _ = all_of(tab.dropped([str(photo)], *tab.form.defaults(), REQUEST))
    presses = [update[tab.bench.stop]["interactive"] for update in updates if tab.bench.stop in update]
    assert presses == [True, False]


def test_stop_keeps_what_is_there_and_the_next_request_works(studio: Any, photo: Path) -> None:
    studio.pause = 0.3
    tab = placed(Describe, studio)
    stream = tab.dropped([str(photo)], *tab.form.defaults(), REQUEST)
    for update in stream:
        if "mm-caret" in str(update.get(tab.result, "")):
            break
    began = time.monotonic()
    tab.bench._stop(REQUEST)
    _, shown = all_of(stream)
    assert time.monotonic() - began < 1
    assert "Stopped" in shown[tab.bench.status]
    studio.pause = 0.0
    _, shown = all_of(tab.again([str(photo)], *tab.form.defaults(), REQUEST))
    assert "runs through the grass" in shown[tab.result]


def test_a_batch_counts_and_shows_what_failed_among_the_rest(studio: Any, photo: Path, tmp_path: Path) -> None:
    studio.pause = 0.03
    tab = placed(Describe, studio)
    bad = tmp_path / "notes.txt"
    bad.write_text("hello")
    updates, shown = all_of(tab.dropped([str(photo), str(bad), str(photo)], *tab.form.defaults(), REQUEST))
    assert "1 of 3" in "".join(str(update.get(tab.bench.status, "")) for update in updates)
    assert "notes.txt is text, not a picture" in shown[tab.result]
    assert shown[tab.result].count("a brown dog runs through the grass</p>") == 2


def test_a_single_bad_file_is_one_sentence_and_is_kept(studio: Any, tmp_path: Path) -> None:
    tab = placed(Describe, studio)
    bad = tmp_path / "notes.txt"
    bad.write_text("hello")
    _, shown = all_of(tab.dropped([str(bad)], *tab.form.defaults(), REQUEST))
    assert 'role="alert"' in shown[tab.bench.status]
    assert "notes.txt is text, not a picture: choose a JPEG or PNG." in shown[tab.bench.status]
    assert shown[tab.paths] == [str(bad)]


def test_something_unexpected_is_a_sentence_not_a_traceback(studio: Any, photo: Path, caplog: Any) -> None:
    def breaks(files: Any, options: Any) -> Iterator[Any]:
        raise ZeroDivisionError
        yield

    studio.script["describe"] = breaks
    tab = placed(Describe, studio)
    _, shown = all_of(tab.dropped([str(photo)], *tab.form.defaults(), REQUEST))
    assert "Something unexpected went wrong (ZeroDivisionError)" in shown[tab.bench.status]
    assert "Traceback" not in shown[tab.bench.status] and "ZeroDivisionError" in caplog.text


def test_a_question_shows_what_the_blind_model_was_given(studio: Any, photo: Path) -> None:
    tab = placed(Describe, studio)
    _, shown = all_of(tab.asked("  what runs? ", [str(photo)], *tab.form.defaults(), REQUEST))
    assert studio.asked[0][2].question == "what runs?"
    assert "Answer to “what runs?”" in shown[tab.result]
    assert shown[tab.prompt].startswith("A picture shows: ") and shown[tab.prompt].endswith("what runs?")
    assert shown[tab.prompt_fold]["visible"] is True
    _, shown = all_of(tab.again([str(photo)], *tab.form.defaults(), REQUEST))
    assert shown[tab.prompt_fold]["visible"] is False


def test_nothing_is_started_without_a_file_or_a_question(studio: Any, photo: Path) -> None:
    tab = placed(Describe, studio)
    _, shown = all_of(tab.again([], *tab.form.defaults(), REQUEST))
    assert "drop one first" in shown[tab.bench.status]
    _, shown = all_of(tab.asked(" ", [str(photo)], *tab.form.defaults(), CHINESE))
    assert "还没有问题" in shown[tab.bench.status]
    assert studio.asked == []


def test_a_spoken_question_stands_in_the_box_before_it_is_asked(studio: Any, tmp_path: Path) -> None:
    tab = placed(Describe, studio)
    _, shown = all_of(tab.spoken.listen(str(tmp_path / "speech.wav"), REQUEST))
    assert shown[tab.spoken.question] == "a white rabbit on a table in being two men walk along a street"
    assert "Change it if need be" in shown[tab.spoken.bench.status]
    assert [task for task, _, _ in studio.asked] == ["transcribe"]
    assert shown[tab.spoken.bench.stop] == gr.update(interactive=False, visible=False)


def test_a_spoken_question_can_be_stopped_while_it_is_written_down(studio: Any, tmp_path: Path) -> None:
    studio.pause = 0.3
    tab = placed(Describe, studio)
    stream = tab.spoken.listen(str(tmp_path / "speech.wav"), REQUEST)
    assert next(stream)[tab.spoken.bench.stop] == gr.update(interactive=True, visible=True)
    began = time.monotonic()
    tab.spoken.bench._stop(REQUEST)
    _, shown = all_of(stream)
    assert time.monotonic() - began < 1
    assert "Stopped" in shown[tab.spoken.bench.status]
    assert shown[tab.spoken.bench.stop]["visible"] is False


def test_a_spoken_question_without_words_leaves_the_box_as_it_is(studio: Any, tmp_path: Path) -> None:
    studio.script["transcribe"] = lambda files, options: iter([Transcript(str(files[0]), (), Provenance("whisper"))])
    tab = placed(Describe, studio)
    _, shown = all_of(tab.spoken.listen(str(tmp_path / "silence.wav"), CHINESE))
    assert tab.spoken.question not in shown and "没有听到语音" in shown[tab.spoken.bench.status]


def test_only_styles_that_the_model_can_write_are_offered() -> None:
    starter = styles("starter-describer", "sentence", REQUEST)
    assert [value for _, value in starter["choices"]] == ["sentence", "alt", "tags"]
    assert ("一段话", "paragraph") in styles("smolvlm2-256m", "sentence", CHINESE)["choices"]


def test_another_model_keeps_the_style_it_can_write_too() -> None:
    assert styles("smolvlm2-256m", "tags", REQUEST)["value"] == "tags"
    assert styles("starter-describer", "paragraph", REQUEST)["value"] == "sentence"
