"""Tables as they are published: other names, no header, text without quotes, media in a folder beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmdemo.datasets import read
from mmdemo.datasets.delimited import sniffed
from mmdemo.datasets.purposes import tasks
from mmdemo.settings import Settings
from tests.datasets.making import lines, picture, recording, text


def test_captions_without_quotes_beside_a_folder_of_pictures(tmp_path: Path, settings: Settings) -> None:
    for n in range(2):
        picture(tmp_path / "f" / "Images" / f"{n}.jpg", n)
    rows = ("image,caption", "0.jpg,A dog , running .", "1.jpg,A cat")
    file = text(tmp_path / "f" / "captions.txt", *rows)
    for given in (tmp_path / "f", file):
        found = read(given, settings)
        assert [(row.image and row.image.name, row.targets) for row in found.rows] == [
            ("0.jpg", ("A dog , running .",)), ("1.jpg", ("A cat",)),
        ]  # fmt: skip
        assert found.problems == ("captions.txt, row 1 has commas in its text, which was put together.",)


def test_a_table_without_a_header_names_recordings_without_endings(tmp_path: Path, settings: Settings) -> None:
    for n in (1, 2):
        recording(tmp_path / "l" / "wavs" / f"L-{n}.wav", 200 * n)
    file = text(tmp_path / "l" / "metadata.csv", "L-1|In 1 way|In one way", "L-2|has never|has never")
    for given in (tmp_path / "l", file):
        found = read(given, settings)
        assert found.columns == {"column 1": "audio", "column 3": "targets"}
        assert [row.targets[0] for row in found.rows] == ["In one way", "has never"]
        assert tasks(found.rows) == ("automatic-speech-recognition",)


def test_a_first_row_is_no_header_where_its_class_comes_again(tmp_path: Path, settings: Settings) -> None:
    found = read(text(tmp_path / "n.csv", "this is great,pos", "this is bad,neg", "so so thing,pos"), settings)
    assert [(row.text, row.label) for row in found.rows] == [
        ("this is great", "pos"), ("this is bad", "neg"), ("so so thing", "pos"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "delimiter"),
    [
        (["a,b", "1,2"], ","), (["a;b", "1,5;2,5"], ";"), (["a\tb", "x, y\tz"], "\t"), (["a|b|c", "1|2|3"], "|"),
        (["a", "b"], ","),
    ],
)  # fmt: skip
def test_the_delimiter_is_the_one_that_fits_all_rows(rows: list[str], delimiter: str) -> None:
    assert sniffed(rows) == delimiter


def test_instructions_answers_and_coco(tmp_path: Path, settings: Settings) -> None:
    rows = [
        {"instruction": "Add", "input": "1 2", "output": "3"},
        {"instruction": "Greet", "input": "", "output": "Hi"},
    ]
    found = read(lines(tmp_path / "alpaca.jsonl", list(rows)), settings)
    assert [(row.text, row.targets) for row in found.rows] == [("Add\n1 2", ("3",)), ("Greet", ("Hi",))]
    assert tasks(found.rows) == ("text-generation",)

    picture(tmp_path / "v" / "a.png")
    found = read(
        text(tmp_path / "v" / "metadata.csv", "image,question,answer", "a.png,What?,A shade", "a.png,Who?,No one"),
        settings,
    )
    assert [(row.text, row.targets) for row in found.rows] == [("What?", ("A shade",)), ("Who?", ("No one",))]
    assert tasks(found.rows) == ("image-text-to-text",)

    coco = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": 1, "caption": "two"}],
    }
    (tmp_path / "v" / "coco.json").write_text(json.dumps(coco), encoding="utf-8")
    found = read(tmp_path / "v" / "coco.json", settings)
    assert [row.targets for row in found.rows] == [("one", "two")]


def test_files_that_do_not_belong_together_ask_for_one(tmp_path: Path, settings: Settings) -> None:
    from mmdemo.errors import InputError

    text(tmp_path / "s" / "train.csv", "text,label", "one two,a", "three four,b")
    text(tmp_path / "s" / "test.csv", "text,label", "five six,a")
    assert [row.split for row in read(tmp_path / "s", settings).rows] == ["test", "train", "train"]
    assert [row.split for row in read(tmp_path / "s" / "train.csv", settings).rows] == ["", ""]
    text(tmp_path / "s" / "users.csv", "name,age", "x,1")
    with pytest.raises(InputError, match=r"users\.csv has other columns than test\.csv: choose one of"):
        read(tmp_path / "s", settings)
