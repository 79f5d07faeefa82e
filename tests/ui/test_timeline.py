"""Segments on the page: rows, words, players."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from mmdemo.results import Provenance, Segment, Transcript, Word
from mmdemo.ui import timeline

FROM = Provenance("whisper-base", "cpu", 0.4)


def test_rows_of_a_track_can_be_played_from_there() -> None:
    segments = (Segment(1.25, 2.0, "a rabbit", "scene"), Segment(2.0, 3.0, "hello"))
    html = timeline.cues(segments, "en", kinds=True)
    assert re.findall(r'<tr data-mm-seek="([\d.]+)"', html) == ["1.250", "2.000"]
    assert 'aria-label="Play from 00:01.2"' in html
    assert ">seen<" in html and ">heard<" in html


WORDS = (Word(0.5, 0.9, "To", 0.9), Word(1.0, 1.4, " be", 0.8), Word(1.4, 1.5, "<or>", 0.8))


def test_words_are_buttons_and_the_tab_key_stops_once_a_segment() -> None:
    html = timeline.cues((Segment(0, 2, " To be, <or>!", words=WORDS),), "en", kinds=False)
    found = re.findall(r'<button type="button" class="mm-word" data-mm-seek="([\d.]+)" tabindex="(-?\d)"', html)
    assert found == [("0.500", "0"), ("1.000", "-1"), ("1.400", "-1")]
    assert re.sub(r"<[^>]+>", "", html).endswith("To be, &lt;or&gt;!"), "the text is all there, with its spaces"


def test_a_text_that_was_corrected_is_shown_rather_than_its_words() -> None:
    html = timeline.cues((Segment(0, 2, "Two bees", words=WORDS),), "en", kinds=False)
    assert "<td>Two bees</td>" in html and "mm-word" not in html


def test_silence_says_so_only_at_the_end() -> None:
    assert timeline.cues((), "en", kinds=False, done=False) == ""
    assert "No speech was found." in timeline.cues((), "en", kinds=False)


def test_rows_do_not_jump_when_the_last_one_has_come() -> None:
    def before_the_rows(done: bool) -> list[str]:
        one = Transcript("a.wav", (Segment(0, 1, "hello"),), FROM, "en", 0.9, 2.0, done=done)
        return re.findall(r"<(\w+)", timeline.transcript(one, "/a.wav", "a.wav", "en").split("<table")[0])

    assert before_the_rows(False) == before_the_rows(True)


def test_a_video_has_its_sources_in_order_and_its_subtitles_within() -> None:
    html = timeline.player(Path("holiday.avi"), ["/one", "/two"], "en", "WEBVTT\n\n你好")
    assert html.startswith("<video controls") and re.findall(r'<source src="([^"]+)"', html) == ["/one", "/two"]
    data = re.search(r'<track default kind="subtitles"[^>]* src="data:text/vtt;charset=utf-8;base64,([^"]+)"', html)
    assert data is not None and base64.b64decode(data[1]).decode() == "WEBVTT\n\n你好"
    assert "This browser cannot play holiday.avi" in html
    assert "<track" not in timeline.player(Path("holiday.avi"), ["/one"], "en")


def test_a_recording_gets_a_player_without_a_picture() -> None:
    assert timeline.player(Path("talk.flac"), ["/talk"], "en").startswith("<audio controls")
