"""Files the page hands out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from mmdemo.results import Description, Label, Provenance, Segment, Transcript
from mmdemo.settings import Settings
from mmdemo.ui import downloads, files
from mmdemo.ui.scratch import scratch

FROM = Provenance("starter-describer", "cpu", 0.4)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_takes_no_cell_for_a_formula(text: str) -> None:
    row = next(csv.DictReader(io.StringIO(files.as_csv([Description("a.jpg", text, FROM)]), newline="")))
    assert row["text"][0] == "'" and row["text"][1:].strip() == text.strip()


def test_the_table_has_one_row_a_picture_with_what_was_found() -> None:
    one = Description("/x/a.jpg", 'a "dog", running', FROM, (Label("collie", 0.5),), ("STOP", "GO"), question="q?")
    table = files.as_csv([one, Description("b.jpg", "", FROM, error="broken")])
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert rows[0] == {
        "file": "a.jpg", "text": 'a "dog", running', "question": "q?", "labels": "collie 0.50",
        "text_read": "STOP / GO", "model": "starter-describer", "seconds": "0.40", "error": "",
    }  # fmt: skip
    assert (rows[1]["file"], rows[1]["error"]) == ("b.jpg", "broken")


def test_json_keeps_everything_but_the_folder() -> None:
    rows = json.loads(files.as_json([Description("/x/猫.jpg", "猫", FROM, (Label("cat", 0.5),))]))
    assert rows[0]["file"] == "猫.jpg" and rows[0]["labels"] == [{"name": "cat", "probability": 0.5}]


def test_a_small_copy_is_small_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (2000, 1000), "red").save(path)
    small = files.small_copy(path, Settings(home=str(tmp_path)))
    assert small is not None
    with Image.open(small) as picture:
        assert picture.format == "JPEG" and picture.size == (files.WIDEST, files.WIDEST // 2)
    made = small.stat().st_mtime_ns
    again = files.small_copy(path, Settings(home=str(tmp_path)))
    assert again == small and small.stat().st_mtime_ns == made


def test_what_is_no_picture_has_no_small_copy(tmp_path: Path) -> None:
    path = tmp_path / "lie.jpg"
    path.write_text("not a picture")
    assert files.small_copy(path, Settings(home=str(tmp_path))) is None
    assert files.small_copy(tmp_path / "gone.jpg", Settings(home=str(tmp_path))) is None


def test_there_are_samples_of_every_kind() -> None:
    assert [len(files.samples(kind)) for kind in (files.PICTURES, files.VIDEOS, files.SOUNDS)] == [3, 3, 3]


def test_samples_are_shown_from_the_cache() -> None:
    sample = files.samples(files.SOUNDS)[0]
    copy = files.public(sample)
    assert copy.is_relative_to(scratch.run) and copy.read_bytes() == sample.read_bytes()
    assert files.public(copy) == copy


def test_a_transcript_comes_in_four_formats() -> None:
    one = Transcript("/x/a.wav", (Segment(0.0, 1.5, " hello there "),), FROM, "en", 0.9, 2.0)
    texts = {form: Path(downloads.text_file(one, "a", form)) for form in downloads.FORMATS}
    assert texts["srt"].name == "a.srt"
    assert "00:00:00,000 --> 00:00:01,500\nhello there" in texts["srt"].read_text("utf-8")
    assert texts["vtt"].read_text("utf-8").startswith("WEBVTT")
    assert json.loads(texts["json"].read_text("utf-8"))[0]["segments"][0]["end"] == 1.5
    assert texts["txt"].read_text("utf-8").strip() == "hello there"
