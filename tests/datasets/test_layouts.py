"""Each layout is recognised from a small real example of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from mmdemo.datasets import read
from mmdemo.errors import InputError, UnknownName
from mmdemo.settings import Settings
from tests.datasets.making import lines, picture, recording, text


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_metadata_in_any_form_names_pictures_beside_it(form: str, tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "set"
    rows = [{"file_name": f"{n}.png", "text": f"a, shade {n}"} for n in range(3)]
    for n in range(3):
        picture(root / f"{n}.png", n)
    if form == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), root / "metadata.parquet")
    elif form == "jsonl":
        lines(root / "metadata.jsonl", list(rows))
    else:
        cut = {"csv": ",", "tsv": "\t"}[form]
        text(root / f"metadata.{form}", f"file_name{cut}text", *(f'{r["file_name"]}{cut}"{r["text"]}"' for r in rows))
    found = read(root, settings)
    assert found.layout == "imagefolder"
    assert found.columns == {"file_name": "image", "text": "targets"}
    assert [row.image for row in found.rows] == [root / f"{n}.png" for n in range(3)]
    assert found.rows[1].targets == ("a, shade 1",)
    assert found.rows[1].origin == f"metadata.{form}, row 2"


def test_a_zip_with_splits_of_recordings_is_read_from_the_data_folder(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "speech"
    for split, hertz in (("train", 300), ("test", 500)):
        recording(root / split / "a.wav", hertz)
        text(root / split / "metadata.csv", "file_name,transcription", f"a.wav,said in {split}")
    packed = tmp_path / "speech.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    found = read(packed, settings)
    assert (found.layout, found.name) == ("audiofolder", "speech")
    assert {row.split: row.targets for row in found.rows} == {"train": ("said in train",), "test": ("said in test",)}
    assert all(path.is_relative_to(Path(settings.home) / "data") for row in found.rows for path in row.media)
    assert read(packed, settings).fingerprint == found.fingerprint


def test_texts_beside_pictures(tmp_path: Path, settings: Settings) -> None:
    picture(tmp_path / "s" / "dog.png", 1)
    picture(tmp_path / "s" / "cat.png", 2)
    picture(tmp_path / "s" / "alone.png", 3)
    text(tmp_path / "s" / "dog.txt", "a dog", "on grass")
    text(tmp_path / "s" / "cat.txt", "a cat")
    found = read(tmp_path / "s", settings)
    assert found.layout == "captions"
    assert {row.origin: row.targets for row in found.rows} == {"cat.png": ("a cat",), "dog.png": ("a dog on grass",)}
    assert found.problems == ("alone.png has no text beside it and was left out.",)


def test_folders_are_classes_with_and_without_splits(tmp_path: Path, settings: Settings) -> None:
    for split in ("train", "val"):
        for label in ("cat", "dog"):
            picture(tmp_path / "a" / split / label / "1.png")
            picture(tmp_path / "b" / label / "1.png")
    found = read(tmp_path / "a", settings)
    assert found.layout == "classes"
    assert [(row.split, row.label) for row in found.rows] == [
        ("train", "cat"), ("train", "dog"), ("validation", "cat"), ("validation", "dog"),
    ]  # fmt: skip
    assert [row.label for row in read(tmp_path / "b", settings).rows] == ["cat", "dog"]


def test_chats_of_both_forms_become_the_same(tmp_path: Path, settings: Settings) -> None:
    picture(tmp_path / "cat.png")
    parts = [{"type": "image", "image": "cat.png"}, {"type": "text", "text": "What is it?"}]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}
    one = lines(tmp_path / "messages.jsonl", [{"messages": [{"role": "user", "content": parts}, answer]}])
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]
    two = lines(tmp_path / "sharegpt.json", [{"conversations": turns, "images": ["cat.png"]}])
    first, second = read(one, settings), read(two, settings)
    assert (first.layout, second.layout) == ("chat", "chat")
    assert first.rows[0].messages == second.rows[0].messages == (
        {"role": "user", "content": "<image>\nWhat is it?"}, {"role": "assistant", "content": "A cat."},
    )  # fmt: skip
    assert first.rows[0].image == second.rows[0].image == tmp_path / "cat.png"


def test_a_chat_about_a_recording_and_one_with_a_system_prompt(tmp_path: Path, settings: Settings) -> None:
    recording(tmp_path / "a.wav")
    turns = [{"from": "human", "value": "<audio>What is said?"}, {"from": "gpt", "value": "A tone."}]
    file = lines(
        tmp_path / "chat.jsonl",
        [
            {"conversations": turns, "audios": ["a.wav"], "system": "Be brief."},
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
        ],
    )
    found = read(file, settings, columns={"conversations": "messages"})
    assert found.rows[0].audio == tmp_path / "a.wav"
    assert found.rows[0].messages[0] == {"role": "system", "content": "Be brief."}


def test_librispeech_and_common_voice(tmp_path: Path, settings: Settings) -> None:
    for part, words in (("train-clean-100", "HELLO"), ("dev-clean", "GOOD DAY")):
        recording(tmp_path / "ls" / part / "84" / "1" / "84-1-0000.flac", len(words) * 100)
        text(tmp_path / "ls" / part / "84" / "1" / "84-1.trans.txt", f"84-1-0000 {words}", "84-1-0001 GONE")
    found = read(tmp_path / "ls", settings)
    assert found.layout == "librispeech"
    assert {row.split: row.targets for row in found.rows} == {"train": ("HELLO",), "validation": ("GOOD DAY",)}
    assert len(found.problems) == 2 and "row 2: 84-1-0001 is not there" in found.problems[0]

    for name in ("train", "dev", "test"):
        recording(tmp_path / "cv" / "clips" / f"{name}.wav", 200 + len(name) * 50)
        text(
            tmp_path / "cv" / f"{name}.tsv", "client_id\tpath\tsentence\tlocale", f'x\t{name}.wav\t"Quoted, he said\tde'
        )
    text(tmp_path / "cv" / "invalidated.tsv", "client_id\tpath\tsentence\tlocale", "x\tbad.wav\tno\tde")
    found = read(tmp_path / "cv", settings)
    assert (found.layout, len(found.rows), found.problems) == ("commonvoice", 3, ())
    assert {(row.split, row.targets[0], row.language) for row in found.rows} == {
        (split, '"Quoted, he said', "de") for split in ("train", "validation", "test")
    }


def test_subtitles_beside_a_recording_are_a_row_a_cue(tmp_path: Path, settings: Settings) -> None:
    recording(tmp_path / "s" / "talk.wav", seconds=1)
    text(tmp_path / "s" / "talk.en.srt", "1", "00:00:00,100 --> 00:00:00,400", "Hello <i>there</i>", "", "2",
         "00:00:00,500 --> 00:00:00,900", "Bye", "")  # fmt: skip
    found = read(tmp_path / "s", settings)
    assert found.layout == "subtitles"
    assert [(r.start, r.end, r.targets, r.language) for r in found.rows] == [
        (0.1, 0.4, ("Hello there",), "en"), (0.5, 0.9, ("Bye",), "en"),
    ]  # fmt: skip
    assert len(read(tmp_path / "s" / "talk.en.srt", settings).rows) == 2


def test_tweets_find_their_pictures(tmp_path: Path, settings: Settings) -> None:
    picture(tmp_path / "t" / "twitter2015_images" / "7.jpg")
    file = text(
        tmp_path / "t" / "train.txt", "IMGID:7", "Hello\tO", "Berlin\tB-LOC", "", "IMGID:8", "Bye\tO", "you\tO", ""
    )
    for given in (tmp_path / "t", file):
        found = read(given, settings)
        assert [row.image.name if row.image else "" for row in found.rows] == ["7.jpg", ""]
        assert found.rows[0].tags == ("O", "B-LOC")
        assert "the pictures of 1 sentences are not there" in found.problems[0]


def test_pictures_inside_parquet_are_written_once_and_classes_have_their_names(
    tmp_path: Path, settings: Settings
) -> None:
    data = picture(tmp_path / "x.png").read_bytes()
    schema = pyarrow.schema(
        [
            ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
            ("label", pyarrow.int64()),
        ],
        metadata={"huggingface": '{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}'},
    )
    rows = [{"image": {"bytes": data, "path": "x.png"}, "label": 1}] * 2
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), tmp_path / "train-00000-of-00001.parquet")
    found = read(tmp_path / "train-00000-of-00001.parquet", settings)
    assert [row.label for row in found.rows] == ["dog", "dog"]
    assert found.rows[0].image == found.rows[1].image
    assert found.rows[0].image and found.rows[0].image.read_bytes() == data


def test_arrays_and_the_user_who_knows_better(tmp_path: Path, settings: Settings) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.zeros((3, 4, 4), np.uint8), y_train=np.array([0, 1, 1]))
    assert [(row.split, row.label) for row in read(tmp_path / "a.npz", settings).rows] == [
        ("train", "0"), ("train", "1"), ("train", "1"),
    ]  # fmt: skip
    file = text(tmp_path / "t.csv", "text,category,notes", "one,a,first", "two,b,second")
    assert read(file, settings).columns == {"text": "text", "category": "label"}
    changed = read(file, settings, columns={"notes": "text", "text": "targets", "category": ""})
    assert changed.columns == {"text": "targets", "notes": "text"}
    assert (changed.rows[0].text, changed.rows[0].targets, changed.rows[0].label) == ("first", ("one",), "")
    with pytest.raises(UnknownName, match="no column 'nots'; choose from: text, category, notes"):
        read(file, settings, columns={"nots": "text"})
    with pytest.raises(UnknownName, match="choose from: image, audio, video, file"):
        read(file, settings, columns={"notes": "txt"})
    with pytest.raises(UnknownName, match="no layout 'csvs'"):
        read(file, settings, layout="csvs")


def test_media_without_a_word_about_them_are_refused_with_what_to_add(tmp_path: Path, settings: Settings) -> None:
    picture(tmp_path / "p" / "a.png")
    with pytest.raises(InputError, match="p holds 1 media and nothing that says what they are"):
        read(tmp_path / "p", settings)
