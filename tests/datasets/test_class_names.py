"""Tags and labels as numbers get the names that the data set has for them; without names each number is its own."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from mmdemo.datasets import read
from mmdemo.datasets.class_names import runs
from mmdemo.datasets.purposes import tasks
from mmdemo.settings import Settings
from tests.datasets.making import lines, picture, text

NAMES = ["O", "B-PER", "I-PER", "B-LOC"]
CARD = """---
license: mit
dataset_info:
- config_name: default
  features:
  - name: tokens
    sequence: string
  - name: ner_tags
    sequence:
      class_label:
        names:
          '0': O
          '1': B-PER
          '2': I-PER
          '3': B-LOC
---
# Names
"""
WAYS = {
    "card": ("README.md", CARD),
    "info": ("dataset_info.json", json.dumps({"features": {"ner_tags": {"feature": {"names": NAMES}}}})),
    "infos": ("dataset_infos.json", json.dumps({"default": {"features": {"ner_tags": {"feature": {"names": NAMES}}}}})),
    "list": ("ner_tags.txt", "\n".join(NAMES) + "\n"),
    "names": ("names.txt", "\n".join(NAMES)),
}
ROWS: list[dict[str, object]] = [{"tokens": ["Ada", "Lovelace", "saw", "Paris"], "ner_tags": [1, 2, 0, 3]}] * 2


@pytest.mark.parametrize("way", WAYS)
def test_numbers_get_their_names_wherever_they_are_written(way: str, tmp_path: Path, settings: Settings) -> None:
    lines(tmp_path / "rows.jsonl", ROWS)
    name, said = WAYS[way]
    text(tmp_path / name, said)
    for given in (tmp_path, tmp_path / "rows.jsonl"):
        found = read(given, settings)
        assert found.rows[0].tags == ("B-PER", "I-PER", "O", "B-LOC") and not found.problems
    assert "token-classification" in tasks(found.rows)


def test_parquet_of_the_hub_says_the_names_itself(tmp_path: Path, settings: Settings) -> None:
    feature = {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "List"}
    about = json.dumps({"info": {"features": {"ner_tags": feature}}})
    schema = pyarrow.schema(
        [("tokens", pyarrow.list_(pyarrow.string())), ("ner_tags", pyarrow.list_(pyarrow.int64()))],
        metadata={"huggingface": about},
    )
    parquet.write_table(pyarrow.Table.from_pylist(ROWS, schema=schema), tmp_path / "train.parquet")
    assert read(tmp_path / "train.parquet", settings).rows[0].tags == ("B-PER", "I-PER", "O", "B-LOC")


def test_without_names_a_run_of_a_number_is_an_entity_and_a_sentence_says_so(
    tmp_path: Path, settings: Settings
) -> None:
    lines(tmp_path / "rows.jsonl", ROWS)
    text(tmp_path / "names.txt", "too", "few")
    found = read(tmp_path / "rows.jsonl", settings)
    assert found.rows[0].tags == ("B-LABEL_1", "B-LABEL_2", "O", "B-LABEL_3")
    assert "ner_tags.txt beside the data" in found.problems[0] and len(found.problems) == 1
    assert runs(("0", "2", "2", "0", "2")) == ("O", "B-LABEL_2", "I-LABEL_2", "O", "B-LABEL_2")


def test_a_picture_with_its_text_and_a_label_in_a_metadata_file(tmp_path: Path, settings: Settings) -> None:
    for place in range(4):
        picture(tmp_path / "images" / f"{place}.jpg")
    text(
        tmp_path / "metadata.csv", "image,text,label",
        *(f"images/{place}.jpg,a note about it,{place % 2}" for place in range(4)),
    )  # fmt: skip
    text(tmp_path / "classes.txt", "ill", "well")
    found = read(tmp_path, settings)
    row = found.rows[1]
    assert row.image and (row.image.name, row.text, row.label) == ("1.jpg", "a note about it", "well")
    assert tasks(found.rows)[0] == "image-text-classification"


def test_a_card_that_is_broken_names_nothing(tmp_path: Path, settings: Settings) -> None:
    lines(tmp_path / "rows.jsonl", ROWS)
    for card in ("---\n: [\n---\n", "---\ndataset_info: 7\n---\n", "# no head", "---\n" + "[" * 5000):
        text(tmp_path / "README.md", card)
        assert read(tmp_path, settings).rows[0].tags[0] == "B-LABEL_1"
