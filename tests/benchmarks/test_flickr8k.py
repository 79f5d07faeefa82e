"""A cell of the table of Flickr8k: composed, learned, scored and kept, by the real loop on toys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import flickr8k
from benchmarks.flickr8k import BEGIN, END, HEAD, Budget
from mmdemo.chains import Compose
from mmdemo.datasets.rows import Row
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.settings import Settings
from tests.training import toys
from tests.training.test_media_recipes import squares
from tests.training.test_retrieval_recipe import COLOURS, coloured


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)


def divided(folder: Path, rows: list[dict[str, Any]], every: int = 4) -> Path:
    """One row of so many is for scoring."""
    toys.table(
        folder / "metadata.jsonl",
        [{**row, "split": "train" if place % every else "val"} for place, row in enumerate(rows)],
    )
    return folder


def test_a_chain_is_composed_learns_and_is_scored(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "data").mkdir()
    data = divided(tmp_path / "data", squares(tmp_path / "data", 32))
    train_tokenizer(["something red", "something blue"] * 3, 300).save_pretrained(tmp_path / "words")
    asked = Compose(
        vision="patches", language="lstm", fusion="concat", width=48, layers=1, tokenizer=str(tmp_path / "words")
    )
    row = flickr8k.chain(data, settings, asked, Budget(epochs=30, pictures=20, validate=4))
    assert row["cell"] == "concat × lstm, mlp"
    assert (row["learned from"], row["steps"], row["epochs"], row["scored on"]) == (
        "20 pictures", "30 of 20", "30.0", "4",
    )  # fmt: skip
    assert re.fullmatch(r"\d+\.\d{3}", row["CIDEr"]) and re.fullmatch(r"0\.\d\d M", row["trainable"])
    assert 0 <= float(row["s per epoch"]) < 60


def test_towers_are_scored_by_who_finds_whom(tmp_path: Path, settings: Settings) -> None:
    data = coloured(tmp_path / "data", 32)
    rows = [{"file_name": f"{place}.png", "captions": [f"the {list(COLOURS)[place % 4]} runs"]} for place in range(32)]
    divided(data, [rows[place] for place in sorted(range(32), key=lambda place: place // 4 % 4 == 0)])
    row = flickr8k.siamese(data, settings, Budget(epochs=200), str(toys.towers(tmp_path / "towers")))
    found = [float(one) for one in row["picture → text @1, 5, 10"].removesuffix(" %").split(", ")]
    assert found[0] <= found[1] <= found[2] == 100 and "accuracy" not in row


def test_a_picture_has_a_subject_if_its_captions_agree() -> None:
    said = ("A dog runs .", "Two dogs play .", "The puppy jumps .", "An animal outside .", "Grass .")
    mixed = (*said[:4], "A man with his dog .")
    unsure = ("A dog runs .", "Something runs .", "A thing .", "Grass .", "A lawn .")
    rows = flickr8k.labelled([Row("", targets=said), Row("", targets=mixed), Row("", targets=unsure)])
    assert [(row.label, row.targets) for row in rows] == [("dog", said)]


@pytest.mark.weights
@pytest.mark.parametrize("how", ["linear", "svm"])
def test_the_subject_is_told_by_a_line_on_what_the_eye_sees(tmp_path: Path, how: str) -> None:
    (tmp_path / "data").mkdir()
    rows = squares(tmp_path / "data", 24)
    names = {"something red": "a dog", "something blue": "a man"}
    data = divided(tmp_path / "data", [{**row, "text": names[row["text"]]} for row in rows], every=3)
    row = flickr8k.classified(data, Settings.load(), Budget(epochs=30), how)
    assert row["accuracy"] == "1.000 of 8 (always dog: 0.500)"


def test_a_row_takes_the_place_of_the_one_before() -> None:
    document = f"# Before\n\n{BEGIN}\n\n{END}\n\nAfter\n"
    for cell, value in (("b", "0.1"), ("a", "0.2"), ("b", "0.3")):
        document = flickr8k.written(document, {"cell": cell, "CIDEr": value})
    lines = [line for line in document.splitlines() if line.startswith("| ")]
    assert len(lines) == 4 and lines[0].count("|") == len(HEAD) + 1
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| a", "| b"] and "0.3" in lines[3]
    assert "0.1" not in document and document.startswith("# Before") and document.endswith("After\n")
    with pytest.raises(ValueError, match="needs the lines"):
        flickr8k.written("nothing", {"cell": "a"})
