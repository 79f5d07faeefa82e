"""The report before training: what is in a data set, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

from mmdemo.datasets import read
from mmdemo.datasets.report import Report, examined, words
from mmdemo.settings import Settings
from tests.datasets.making import lines, picture, recording, text


def report(path: Path, settings: Settings, **more: float) -> Report:
    return examined(read(path, settings), settings, **more)  # type: ignore[arg-type]


def test_copies_contradictions_and_what_crosses_splits_are_named(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "s"
    picture(root / "a.png", 1)
    picture(root / "b.png", 1)  # the bytes of a.png under another name
    picture(root / "c.png", 2)
    rows = [
        ("a.png", "cat", "train"), ("b.png", "cat", "test"), ("c.png", "cat", "train"), ("c.png", "dog", "train"),
        ("c.png", "dog", "train"),
    ]  # fmt: skip
    lines(root / "metadata.jsonl", [{"file_name": f, "label": c, "split": s} for f, c, s in rows])
    found = report(root, settings)
    assert (found.copies.same, found.copies.shared) == (2, 3)
    assert found.copies.crossing == (
        "The same content is in metadata.jsonl, row 2 (test) and metadata.jsonl, row 1 (train): leave it in one split.",
    )
    assert found.copies.contradictions == (
        "The same content has two labels: metadata.jsonl, row 3 (cat) and metadata.jsonl, row 4 (dog).",
    )
    assert found.splits == {"train": 4, "test": 1} and found.labels == {"cat": 3, "dog": 2}
    assert found.tasks == ("image-classification",) and found.usable
    assert "Contents in more than one split, so that a test would be no test: 1." in found.findings


def test_media_are_really_opened_and_the_broken_are_named_with_their_row(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "s"
    for n in range(3):
        picture(root / f"{n}.jpg", n)
    whole = (root / "1.jpg").read_bytes()
    (root / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "2.jpg").write_text("not a picture", encoding="utf-8")
    lines(root / "metadata.jsonl", [{"file_name": f"{n}.jpg", "text": "a shade"} for n in range(3)])
    found = report(root, settings)
    assert found.opened.opened == 3 and found.opened.unopened == 0
    assert sorted(one.partition(" cannot")[0] for one in found.opened.broken) == [
        "metadata.jsonl, row 2",
        "metadata.jsonl, row 3",
    ]
    assert not found.usable
    none = report(root, settings, seconds=0.0)
    assert (none.opened.opened, none.opened.unopened) == (0, 3)


def test_long_clips_and_cues_of_long_recordings(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "s"
    recording(root / "long.wav", seconds=31)
    recording(root / "short.wav", seconds=1)
    lines(root / "metadata.jsonl", [{"file_name": f"{n}.wav", "text": "a tone"} for n in ("long", "short")])
    found = report(root, settings)
    assert found.opened.long == ("metadata.jsonl, row 1 lasts 31 s, and a model takes 30 s at once: cut it.",)
    assert found.opened.seconds == 32
    text(
        root / "long.srt",
        "1",
        "00:00:01,000 --> 00:00:05,000",
        "A tone",
        "",
        "2",
        "00:00:06,000 --> 00:00:07,000",
        "on",
        "",
    )
    cues = report(root / "long.srt", settings)
    assert (cues.opened.long, cues.copies.same, cues.tasks) == ((), 0, ("automatic-speech-recognition",))


def test_words_languages_and_a_tokenizer(tmp_path: Path, settings: Settings) -> None:
    said = {
        "en": "the quick brown fox jumps over the lazy dog today", "de": "der Hund schläft heute nicht auf dem Sofa",
        "zh": "东方商厦嘉定店今天开门", "fr": "le chien ne dort pas sur le canapé",
        "ru": "большая собака сегодня не хочет спать на нашем старом диване, потому что ей хочется гулять",
    }  # fmt: skip
    rows = [f'"{one}",{kind}' for one in said.values() for kind in ("a", "b")]
    found = examined(read(text(tmp_path / "t.csv", "text,label", *rows), settings), settings, count_tokens=len)
    assert found.languages == dict.fromkeys(said, 2)
    assert found.texts.tokens == 2 * sum(map(len, said.values()))
    assert found.texts.words == 2 * sum(map(words, said.values())) and words(said["zh"]) == 11
    assert any(one.startswith("Texts are in several languages (") for one in found.findings)


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path, settings: Settings) -> None:
    found = report(text(tmp_path / "t.csv", "text,label", "first,a", "second,a", "third,a"), settings)
    assert (found.tasks, found.usable) == ((), False)
    assert found.findings[0] == (
        "All rows are of one class, a: add rows of another, since there is nothing to tell apart."
    )


def test_a_report_is_plain_json(tmp_path: Path, settings: Settings) -> None:
    found = report(
        text(tmp_path / "t.csv", "text,label", *(f"text {n},{n % 3}" for n in range(60)), "same,a"), settings
    )
    plain = json.loads(json.dumps(found.as_json()))
    assert plain["usable"] is True
    assert plain["tasks"] == ["text-classification"]
    assert plain["labels"] == {"0": 20, "1": 20, "2": 20, "a": 1}
    assert "Classes with fewer than 5 rows, to be added to or merged: 1 (a)." in plain["findings"]
