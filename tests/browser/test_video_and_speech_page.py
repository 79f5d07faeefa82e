"""Videos and recordings in the browser, with the real starter weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.weights]
SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
LONG = 180_000


def ended(page: Any, tab: str) -> None:
    page.locator(f"#mm-{tab}-status").get_by_text("Done in").wait_for(timeout=LONG)


def test_a_video_gets_subtitles_rows_that_seek_and_a_copy_with_captions(page: Any) -> None:
    page.get_by_role("tab", name="Video").click()
    page.locator("#mm-video-drop input[type=file]").set_input_files(str(SAMPLES / "clip.mp4"))
    ended(page, "video")
    kinds = set(page.locator("#mm-video-cues .mm-kind").all_inner_texts())
    assert kinds == {"seen", "heard"}
    page.wait_for_function("() => document.querySelector('#mm-video-player video')?.textTracks[0]?.cues?.length > 1")
    rows = page.locator("#mm-video-cues tbody tr")
    last = rows.nth(rows.count() - 1)
    start = float(last.get_attribute("data-mm-seek"))
    assert start > 1
    last.locator(".mm-seek").click()
    page.wait_for_function(
        "start => Math.abs(document.querySelector('#mm-video-player video').currentTime - start) < 2", arg=start
    )
    with page.expect_download() as download:
        page.locator("#mm-video-srt").click()
    assert "-->" in Path(download.value.path()).read_text("utf-8")
    page.locator("#mm-video-burn").click()
    page.locator("#mm-video-burned").wait_for(timeout=LONG)
    with page.expect_download() as download:
        page.locator("#mm-video-burned").click()
    assert Path(download.value.path()).stat().st_size > 10_000
    assert download.value.suggested_filename == "clip-captions.mp4"


def test_a_recording_gets_segments_and_a_row_plays_from_there(page: Any) -> None:
    page.get_by_role("tab", name="Speech").click()
    page.locator("#mm-speech-drop input[type=file]").set_input_files(str(SAMPLES / "speech.flac"))
    ended(page, "speech")
    text = page.locator("#mm-speech-result tbody").inner_text().lower()
    assert "printing" in text and "exhibition" in text
    assert "Language: en" in page.locator("#mm-speech-result").inner_text()
    rows = page.locator("#mm-speech-result tbody tr")
    start = float(rows.nth(rows.count() - 1).get_attribute("data-mm-seek"))
    rows.nth(rows.count() - 1).locator(".mm-seek").press("Enter")
    page.wait_for_function(
        "start => Math.abs(document.querySelector('#mm-speech-result audio').currentTime - start) < 2", arg=start
    )
    with page.expect_download() as download:
        page.locator("#mm-speech-json").click()
    assert json.loads(Path(download.value.path()).read_text("utf-8"))[0]["segments"][0]["text"]


def test_what_is_spoken_into_the_microphone_is_written_down(page: Any) -> None:
    page.get_by_role("tab", name="Speech").click()
    microphone = page.locator("#mm-speech-microphone")
    microphone.get_by_role("button", name="Record").click()
    page.wait_for_timeout(6000)
    microphone.get_by_role("button", name="Stop").first.click()
    ended(page, "speech")
    assert "printing" in page.locator("#mm-speech-result tbody").inner_text().lower()


def test_text_named_mp4_is_one_sentence_no_player_and_the_next_request_works(page: Any, tmp_path: Path) -> None:
    lie = tmp_path / "film.mp4"
    lie.write_text("This is a letter, not a film.")
    page.get_by_role("tab", name="Video").click()
    page.locator("#mm-video-drop input[type=file]").set_input_files(str(lie))
    alert = page.locator("#mm-video-status [role=alert]")
    alert.wait_for(timeout=LONG)
    assert "film.mp4" in alert.inner_text()
    assert page.locator("#mm-video-player video").count() == 0
    page.get_by_role("button", name="toy").click()
    ended(page, "video")
    assert page.locator("#mm-video-cues .mm-kind").count() >= 1


def old_film(path: Path) -> Path:
    """Two seconds of MPEG-4 part 2 in AVI, which no browser plays."""
    import av
    import numpy as np

    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(24):
            picture = np.full((240, 320, 3), (40, 120, 5 * number), np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode())
    return path


def test_a_film_that_no_browser_plays_says_so_and_plays_once_it_was_written_again(page: Any, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Video").click()
    page.locator("#mm-video-drop input[type=file]").set_input_files(str(old_film(tmp_path / "old.avi")))
    ended(page, "video")
    page.get_by_text("This browser cannot play old.avi").wait_for()
    assert page.locator("#mm-video-cues tbody tr").count() >= 1
    page.locator("#mm-video-burn").click()
    page.locator("#mm-video-burned").wait_for(timeout=LONG)
    page.locator("#mm-video-player video").wait_for()
    page.wait_for_function("() => document.querySelector('#mm-video-player video').videoWidth === 320")
    page.get_by_text("This browser cannot play old.avi").wait_for(state="hidden")


def test_a_recording_in_the_video_tab_plays_from_its_rows(page: Any) -> None:
    page.get_by_role("tab", name="Video").click()
    page.locator("#mm-video-drop input[type=file]").set_input_files(str(SAMPLES / "speech.flac"))
    ended(page, "video")
    rows = page.locator("#mm-video-cues tbody tr")
    start = float(rows.last.get_attribute("data-mm-seek"))
    rows.last.locator(".mm-seek").click()
    page.wait_for_function(
        "start => Math.abs(document.querySelector('#mm-video-player audio').currentTime - start) < 2", arg=start
    )


def test_words_are_reached_and_played_with_the_keyboard(page: Any) -> None:
    page.get_by_role("tab", name="Speech").click()
    page.get_by_role("button", name="More settings").locator("visible=true").click()
    page.locator("#mm-transcribe-words input").check()
    page.get_by_role("button", name="story").click()
    ended(page, "speech")
    words = page.locator("#mm-speech-result .mm-word")
    assert words.count() > 10
    assert "the middle classes" in page.locator("#mm-speech-result tbody").inner_text().lower()
    words.first.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    start = float(words.nth(8).get_attribute("data-mm-seek"))
    assert start > 1.5
    page.keyboard.press("Enter")
    page.wait_for_function(
        "start => Math.abs(document.querySelector('#mm-speech-result audio').currentTime - start) < 1", arg=start
    )
