"""Results as JSON: one shape wherever they are handed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdemo.cli.output import rendered
from mmdemo.media.records import record
from mmdemo.results import Description, Label, Provenance, Segment, Track, Transcript, Word

FROM = Provenance("whisper-base", "cpu", 1.23456, ("No speech was found.",))
SEGMENTS = (
    Segment(0.0, 4.20004, "A dog & a <cat> run.", "scene"),
    Segment(1.0, 3.9996, "Look", words=(Word(1.0, 1.5, "Look", 0.98765),)),
)
ROWS = [
    {"start": 0.0, "end": 4.2, "text": "A dog & a <cat> run.", "kind": "scene"},
    {"start": 1.0, "end": 4.0, "text": "Look", "kind": "speech",
     "words": [{"start": 1.0, "end": 1.5, "text": "Look", "probability": 0.9877}]},
]  # fmt: skip


def test_a_track_and_a_transcript_have_text_model_and_segments_in_seconds() -> None:
    told = {"file": "a.mp4", "model": "whisper-base", "seconds": 1.235, "language": "en", "duration": 9.5,
            "segments": ROWS, "device": "cpu", "notes": ["No speech was found."]}  # fmt: skip
    track = Track("/x/a.mp4", SEGMENTS, FROM, "en", 9.5)
    assert record(track, "a.mp4") == told | {"text": "A dog & a <cat> run.\nLook"}
    transcript = Transcript("/x/a.mp4", SEGMENTS, FROM, "en", 0.9, 9.5)
    assert record(transcript, "a.mp4") == told | {"text": "A dog & a <cat> run. Look"}


def test_a_description_has_what_was_found_and_what_the_answering_model_was_told() -> None:
    labels = (Label("dog", 0.123456),)
    one = Description("/x/a.jpg", "A dog.", Provenance("m"), labels, ("STOP",), question="What?", prompt="A picture …")
    assert record(one) == {
        "file": "/x/a.jpg", "text": "A dog.", "model": "m", "seconds": 0.0, "question": "What?",
        "prompt": "A picture …", "labels": [{"name": "dog", "probability": 0.1235}], "text_read": ["STOP"],
        "device": "cpu",
    }  # fmt: skip
    assert {"question", "prompt"}.isdisjoint(record(Description("a.jpg", "A dog.", Provenance("m"))))


@pytest.mark.parametrize(
    "failed",
    [
        Description("a", "", FROM, error="a is empty (0 bytes): save it again."),
        Transcript("a", (), FROM, error="a is empty (0 bytes): save it again."),
        Track("a", (), FROM, error="a is empty (0 bytes): save it again."),
    ],
    ids=lambda result: type(result).__name__,
)
def test_a_file_that_failed_has_its_name_and_the_reason_alone(failed: Any) -> None:
    assert record(failed) == {"file": "a", "error": "a is empty (0 bytes): save it again."}


def test_what_still_grows_says_so_and_how_far_it_is() -> None:
    grown = record(Transcript("a", (), FROM, progress=0.25, done=False))
    assert (grown["done"], grown["progress"]) == (False, 0.25)
    assert record(Description("a", "A", FROM, done=False))["done"] is False
    assert {"done", "progress"}.isdisjoint(record(Transcript("a", (), FROM)))


def test_times_are_never_negative_or_backwards() -> None:
    odd = (Segment(-2.0, 1.0, "a"), Segment(5.0, 3.0, "b"))
    found = record(Track("a", odd, FROM))["segments"]
    assert [(row["start"], row["end"]) for row in found] == [(0.0, 1.0), (5.0, 5.0)]


def test_the_command_line_and_the_page_hand_out_the_same_object() -> None:
    from mmdemo.ui.files import as_json

    track = Track("a.mp4", SEGMENTS, FROM, "en", 9.5)
    assert json.loads(as_json([track])) == [json.loads(rendered(Path("a.mp4"), track, "json"))] == [record(track)]
