"""Rows are corrected, dropped and brought back over a data set whose files stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdemo.datasets import Row, edits, read
from mmdemo.errors import InputError
from mmdemo.settings import Settings
from tests.datasets.making import lines, picture, text


def keys(path: Path, settings: Settings) -> list[str]:
    return [edits.key(row) for row in read(path, settings).rows]


def test_a_row_is_corrected_one_is_dropped_and_undo_brings_it_back(tmp_path: Path, settings: Settings) -> None:
    file = text(tmp_path / "mood.csv", "text,label", "good morning,a", "good nihgt,b", "rubbish,a")
    before, names = file.read_bytes(), keys(file, settings)
    folder = edits.change(file, names[1], "good night", "c", settings)
    assert edits.drop(folder, names[2], settings) == folder
    found = read(folder, settings)
    assert [(row.text, row.label) for row in found.rows] == [("good morning", "a"), ("good night", "c")]
    assert (found.layout, found.name) == ("csv", folder.name) and found.name.startswith("mood-")
    assert edits.undo(folder, settings) == folder
    assert [row.text for row in read(folder, settings).rows] == ["good morning", "good night", "rubbish"]
    edits.change(folder, names[1], "good evening", "b", settings)
    edits.undo(folder, settings)
    assert [row.text for row in read(folder, settings).rows][1] == "good night", "the correction before that counts"
    assert edits.history(folder).version == 5
    edits.undo(folder, settings)
    with pytest.raises(InputError, match="no correction to take back"):
        edits.undo(folder, settings)
    assert file.read_bytes() == before and folder.parent == Path(settings.home).resolve() / "fixed"
    assert {path.name for path in tmp_path.iterdir()} == {"mood.csv", "home"}


def test_each_kind_of_answer_is_edited_as_it_is_shown() -> None:
    talk = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"})
    for row, answer, new in (
        (Row("", text="x", label="a"), "a", Row("", text="x y", label="b")),
        (Row("", text="x", targets=("one", "two")), "one\ntwo", Row("", text="x y", targets=("b",))),
        (Row("", messages=talk), "yo", Row("", messages=({**talk[0], "content": "x y"}, {**talk[1], "content": "b"}))),
    ):
        assert edits.answered(row) == answer
        assert edits.changed(row, " x y ", " b ") == new
        assert edits.changed(row, edits.asked(row), edits.answered(row)) == row
    tagged = Row("", tokens=("A", "runs"), tags=("B-PER", "O"))
    assert edits.changed(tagged, "Anna runs", "B-PER O") == Row("", tokens=("Anna", "runs"), tags=("B-PER", "O"))
    with pytest.raises(InputError, match="3 words and 2 tags"):
        edits.changed(tagged, "A runs fast", "B-PER O")


def test_media_stay_where_they_are_and_corrections_of_changed_rows_are_told(
    tmp_path: Path, settings: Settings
) -> None:  # fmt: skip
    root = tmp_path / "s"
    shown = picture(root / "a.png", 1)
    picture(root / "b.png", 2)
    rows: list[dict[str, object]] = [{"file_name": f"{name}.png", "text": name} for name in "ab"]
    lines(root / "metadata.jsonl", rows)
    first, second = keys(root, settings)
    folder = edits.change(root, first, "", "a red square\na square", settings)
    edits.drop(folder, second, settings)
    (row,) = read(folder, settings).rows
    assert row.image == shown.resolve() and row.targets == ("a red square", "a square")
    lines(root / "metadata.jsonl", [rows[0], {"file_name": "b.png", "text": "another"}])
    found = read(folder, settings)
    assert [row.targets for row in found.rows] == [("a red square", "a square"), ("another",)]
    assert any("1 corrections are about rows that s has no longer" in one for one in found.problems)
    shown.unlink()
    (root / "b.png").unlink()
    (root / "metadata.jsonl").unlink()
    with pytest.raises(InputError, match="s holds no data set"):
        read(folder, settings)


def test_corrections_that_come_with_somebodys_data_are_followed_nowhere(tmp_path: Path, settings: Settings) -> None:
    secret = text(tmp_path / "secret.csv", "text,label", "mine,a", "too,b")
    folder = edits.drop(secret, keys(secret, settings)[0], settings)
    foreign = tmp_path / "given"
    foreign.mkdir()
    (foreign / edits.FILE).write_bytes((folder / edits.FILE).read_bytes())
    for path in (foreign, foreign / edits.FILE):
        try:
            told = " ".join(row.text for row in read(path, settings).rows)
        except InputError as error:
            told = str(error)
        assert "too" not in told.split()
    (folder / edits.FILE).write_text("[]\n")
    with pytest.raises(InputError, match="cannot be read: choose the data set itself"):
        read(folder, settings)
