"""Reading the starter's data and scoring sentences against it."""

from __future__ import annotations

import json

from mmdemo.starter.captions import Row, read, scores, words


def test_rows_of_one_split_become_sentences(tmp_path) -> None:
    lines = [
        {"file": "a.jpg", "split": "train", "captions": ["a dog runs .", " . "]},
        {"file": "b.jpg", "split": "val", "captions": ["A cat"]},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read(tmp_path, "train") == [Row(tmp_path / "a.jpg", ("A dog runs.",))]
    assert read(tmp_path, "val") == [Row(tmp_path / "b.jpg", ("A cat.",))]


def test_words_are_counted_without_case_and_punctuation() -> None:
    assert words("A T-shirt, the dog's, 2 of them.") == "a t-shirt the dog's 2 of them"


def test_a_right_sentence_scores_higher_than_another_pictures(tmp_path) -> None:
    rows = [
        Row(tmp_path / "a", ("A brown dog runs on the grass.", "A dog is running through grass.")),
        Row(tmp_path / "b", ("Two men play football in a field.", "Men are playing football.")),
        Row(tmp_path / "c", ("A child eats an ice cream.", "A small child with an ice cream cone.")),
    ]
    right = scores([row.captions[0] for row in rows], rows)
    wrong = scores([rows[1].captions[0], rows[2].captions[0], rows[0].captions[0]], rows)
    assert right["cider"] > 1 > wrong["cider"]
    assert right["bleu4"] > 0.9 > wrong["bleu4"]
