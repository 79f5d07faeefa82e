"""Pieces of the page: what they show, and that nothing in them is taken for markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmdemo.results import Description, Label, Provenance, Segment, Transcript, Word
from mmdemo.runtime.sources.base import Progress
from mmdemo.ui import parts, timeline
from mmdemo.ui.sentences import translate

FROM = Provenance("starter-describer", "cpu", 0.4, ("Words were not read.",))
EVIL = "<script>alert(1)</script>\"'"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "00:00.0"), (12.34, "00:12.3"), (59.96, "01:00.0"), (3599.99, "1:00:00.0"), (36610.5, "10:10:10.5")],
)
def test_times_are_shown_as_on_a_clock(seconds: float, shown: str) -> None:
    assert parts.clock(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(24_666_229, "24.7 MB"), (147_882_701, "148 MB"), (2_100_000_000, "2.1 GB")]
)
def test_sizes_have_units(number: int, shown: str) -> None:
    assert parts.size(number) == shown


def test_spans_have_units() -> None:
    assert [parts.duration(s) for s in (0.44, 12.2, 185)] == ["0.4 s", "12 s", "3 min 05 s"]


def test_a_card_shows_sentence_labels_text_and_provenance() -> None:
    one = Description(
        "d.jpg", "a dog runs", FROM, labels=(Label("collie", 0.625),), text_read=("STOP",), question="what?"
    )
    html = parts.card(one, "/gradio_api/file=/d.jpg", "en")
    words = re.sub(r"<[^>]+>", " ", html)
    for piece in ("a dog runs", "collie", "62 %", "STOP", "starter-describer · cpu · 0.4 s", "Words were not read."):
        assert piece in words
    assert "Answer to “what?”" in words
    assert 'data-mm-copy="a dog runs"' in html
    assert 'alt="a dog runs"' in html


def test_a_card_in_progress_keeps_the_place_of_the_copy_button_and_has_no_provenance_yet() -> None:
    html = parts.card(Description("d.jpg", "a dog", FROM, done=False), "", "en")
    assert re.search(r"<button[^>]* data-mm-copy[^>]* disabled>", html)
    assert "mm-from" not in html and "mm-caret" in html
    ready = parts.card(Description("d.jpg", "a dog", FROM), "", "en")
    assert "disabled" not in ready


def test_a_picture_that_failed_shows_its_sentence_in_the_gallery() -> None:
    bad = Description("x.txt", "", FROM, error="x.txt is text, not a picture.")
    good = Description("d.jpg", "a dog", FROM)
    html = parts.gallery([good, bad, None], ["/a", "", ""], ["d.jpg", "x.txt", "e.jpg"], "en")
    assert html.count('<li class="mm-tile">') == 3
    assert 'role="alert"' in html and "x.txt is text, not a picture." in html
    assert html.count("mm-wait") == 1


def test_nothing_that_was_written_becomes_markup() -> None:
    one = Description(
        EVIL, EVIL, Provenance(EVIL, EVIL, 1, (EVIL,)), (Label(EVIL, 0.5),), (EVIL,), question=EVIL, error=""
    )
    word = Word(0, 1, EVIL, 0.5)
    segments = (Segment(0, 1, EVIL), Segment(1, 2, EVIL, words=(word,)))
    pages = [
        parts.card(one, "/x", "en"),
        parts.gallery([one, None], ["/x", ""], [EVIL, EVIL], "zh"),
        timeline.transcript(Transcript(EVIL, segments, FROM, EVIL, 0.5, 2.0), "/x", EVIL, "en"),
        parts.error(EVIL),
        parts.note(EVIL),
        parts.working(EVIL, 1, "en", 0.5),
        parts.empty(EVIL),
        timeline.player(Path(f"{EVIL}.mp4"), [parts.file_url(EVIL)], "en", EVIL),
    ]
    for page in pages:
        assert "<script" not in page
        assert '="<' not in page and "alert(1)</script>\"'" not in page


def test_progress_has_words_numbers_a_bar_and_what_is_left() -> None:
    html = parts.working("Describing", 3.2, "en", 0.4, (2, 5), 42.0)
    assert "2 of 5 · 40 % · 3.2 s · about 40 s left" in html and 'aria-valuenow="40"' in html
    assert "aria-valuenow" not in parts.working("Starting", 0, "en")
    progress = Progress("Fetching Whisper base", 10**8, 2 * 10**8)
    assert parts.fetched(translate(progress.stage, "zh"), progress) == "正在下载 Whisper base · 100 MB / 200 MB"
    assert parts.share_of(progress) == 0.5
    assert parts.share_of(Progress("Loading Whisper base")) is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "1 s"), (7.4, "7 s"), (42, "40 s"), (54, "55 s"), (58, "1 min"), (400, "7 min"), (8000, "2 h 13 min")],
)
def test_what_is_only_estimated_is_rounded(seconds: float, shown: str) -> None:
    assert parts.about(seconds) == shown


def test_file_addresses_are_quoted() -> None:
    assert parts.file_url("/tmp/a b#1?.jpg") == "/gradio_api/file=/tmp/a%20b%231%3F.jpg"
