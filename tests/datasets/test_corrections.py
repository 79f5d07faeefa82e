"""What the user corrects is kept in sets of the user's own: versioned, exportable, deletable, readable."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from mmdemo.datasets import read
from mmdemo.datasets.corrections import Corrections, Kept
from mmdemo.errors import InputError, NoSpace, UnknownName
from mmdemo.settings import Settings
from tests.datasets.making import picture, recording


@pytest.fixture
def own(settings: Settings) -> Corrections:
    return Corrections(settings)


def said(after: str, before: str = "a dog", **more: object) -> Kept:
    return Kept("", before, after, "starter-describer", "image-to-text", **more)  # type: ignore[arg-type]


def test_a_correction_is_a_row_that_any_reader_of_the_layout_finds(
    own: Corrections, tmp_path: Path, settings: Settings
) -> None:
    dog, sound = picture(tmp_path / "in" / "dog.PNG", 1), recording(tmp_path / "in" / "talk.wav")
    assert own.keep("My photos", dog, said("a brown dog")) == 1
    heard = Kept(
        "", "helo", "hello", "whisper-tiny", "automatic-speech-recognition", language="en", start=0.05, end=0.15
    )
    assert own.keep("My photos", sound, heard) == 2
    asked = said("Brown.", before="Red.", question="What colour is it?")
    assert own.keep("My photos", dog, asked) == 3
    dog.unlink()
    found = read(own.path("My photos"), settings)
    assert found.columns == {
        "file_name": "file", "after": "targets", "question": "text", "language": "language", "start": "start",
        "end": "end",
    }  # fmt: skip
    assert [(row.text, row.targets) for row in found.rows] == [
        ("", ("a brown dog",)), ("", ("hello",)), ("What colour is it?", ("Brown.",)),
    ]  # fmt: skip
    assert (found.rows[1].audio is not None, found.rows[1].start, found.rows[1].end) == (True, 0.05, 0.15)
    first = json.loads((own.path("My photos") / "metadata.jsonl").read_text("utf-8").splitlines()[0])
    assert (first["before"], first["after"], first["model"]) == ("a dog", "a brown dog", "starter-describer")
    assert first["file_name"] == f"media/{found.rows[0].content}.png"
    assert first["time"].endswith("+00:00")
    assert found.problems == ()


def test_a_second_correction_of_the_same_replaces_the_first_and_keeps_what_the_model_said(
    own: Corrections, tmp_path: Path
) -> None:
    dog = picture(tmp_path / "dog.png")
    own.keep("s", dog, said("a brown dog"))
    own.keep("s", dog, said("a big brown dog", before="a brown dog"))
    assert [(row.before, row.after) for row in own.rows("s")] == [("a dog", "a big brown dog")]
    assert len(list((own.path("s") / "media").iterdir())) == 1


def test_every_change_is_a_version_that_can_be_brought_back(
    own: Corrections, tmp_path: Path, settings: Settings
) -> None:
    for n in range(3):
        own.keep("s", picture(tmp_path / f"{n}.png", n), said(f"shade {n}"))
    assert own.edit("s", 1, "another") == 4
    assert own.edit("s", 0, "") == 5
    assert [row.after for row in own.rows("s")] == ["another", "shade 2"]
    assert own.bring_back("s", 3) == 6
    assert [row.after for row in own.rows("s")] == ["shade 0", "shade 1", "shade 2"]
    assert [(one.number, one.rows) for one in own.versions("s")] == [(1, 1), (2, 2), (3, 3), (4, 3), (5, 2), (6, 3)]
    assert [row.targets[0] for row in read(own.path("s"), settings).rows] == ["shade 0", "shade 1", "shade 2"]
    with pytest.raises(UnknownName, match="no version '9'; choose from: 1, 2, 3, 4, 5, 6"):
        own.rows("s", 9)
    with pytest.raises(InputError, match="s has 3 rows and no row 8"):
        own.edit("s", 7, "x")


def test_an_export_is_a_zip_of_what_is_there_now_and_removing_leaves_nothing(
    own: Corrections, tmp_path: Path, settings: Settings
) -> None:
    for n in range(2):
        own.keep("照片 1", picture(tmp_path / f"{n}.png", n), said(f"shade {n}"))
    own.edit("照片 1", 0, "")
    out = own.export("照片 1", tmp_path / "out" / "set.zip")
    found = read(out, Settings.load({}, home=str(tmp_path / "elsewhere")))
    assert [row.targets for row in found.rows] == [("shade 1",)]
    assert [(one.name, one.rows, one.version) for one in own.summaries()] == [("照片 1", 1, 3)]
    assert own.remove("照片 1") > 0
    assert own.names() == [] and list(own.folder.iterdir()) == []
    with pytest.raises(UnknownName, match="no data set '照片 1'; choose from: none yet"):
        own.rows("照片 1")
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    own.keep("s", picture(tmp_path / "a.png"), said("a"))
    with pytest.raises(NoSpace, match=r"set\.zip cannot be written"):
        own.export("s", blocked / "set.zip")


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "/etc", "a\\b", ".hidden", "x" * 65, "a\0b", "con:1"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, own: Corrections, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be the name of a data set"):
        own.keep(name, picture(tmp_path / "a.png"), said("a"))
    assert not own.folder.exists()


def test_nothing_is_kept_without_text_or_medium(own: Corrections, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no text to keep"):
        own.keep("s", picture(tmp_path / "a.png"), said("  "))
    with pytest.raises(InputError, match=r"gone\.png cannot be opened"):
        own.keep("s", tmp_path / "gone.png", said("a"))
    assert own.names() == []


def test_many_writers_lose_nothing(own: Corrections, tmp_path: Path, settings: Settings) -> None:
    pictures = [picture(tmp_path / f"{n}.png", n) for n in range(12)]
    writers = [
        threading.Thread(target=Corrections(settings).keep, args=("s", path, said(path.stem))) for path in pictures
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert sorted(int(row.after) for row in own.rows("s")) == list(range(12))
    assert [one.number for one in own.versions("s")] == list(range(1, 13))
    assert len(read(own.path("s"), settings).rows) == 12
    assert not list(own.path("s").rglob("*.new")) and not list(own.path("s").rglob("*.part"))
