"""The folders that are at hand are read as they are: rows, splits and what was taken for what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mmdemo.datasets import read
from mmdemo.datasets.rows import Dataset
from mmdemo.datasets.splits import divided
from mmdemo.errors import InputError
from mmdemo.settings import Settings


def splits(dataset: Dataset) -> dict[str, int]:
    return dict(Counter(row.split for row in dataset.rows))


CASES = {
    "flickr8k": ("imagefolder", {"train": 6000, "validation": 1000, "": 91}, {"file": "image", "captions": "targets"}),
    "tuxpaint_stamps": ("imagefolder", {"": 772}, {"file": "image", "captions": "targets", "category": "label"}),
    "chest_xray_notes": ("imagefolder", {"": 55}, {"file": "image", "notes": "text", "finding": "label"}),
    "speech_en": ("audiofolder", {"": 12}, {"file": "audio", "text": "targets", "lang": "language"}),
    "speech_zh": ("audiofolder", {"": 134}, {"file": "audio", "text": "targets", "lang": "language"}),
    "speech_multi": ("audiofolder", {"": 21}, {"file": "audio", "text": "targets", "lang": "language"}),
    "speech_intent": ("audiofolder", {"": 492}, {"file": "audio", "intent": "label"}),
    "spoken_digits": (
        "audiofolder",
        {"train": 310, "test": 109},
        {"file": "audio", "label": "label", "text": "targets"},
    ),
    "video": ("videofolder", {"": 17}, {"file": "video", "caption": "targets"}),
    "text/banking77_train.csv": ("csv", {"": 10003}, {"text": "text", "category": "label"}),
    "text/clinc150_train_val.json": ("json", {"train": 15100, "validation": 3100}, {"text": "text", "label": "label"}),
    "text/financial_phrasebank_train.csv": ("csv", {"": 3891}, {"text": "text", "label": "label"}),
    "text/fiqa": ("fiqa", {"train": 911, "test": 200}, {"sentence": "text", "sentiment": "label"}),
    "text/fiqa/task1_post_ABSA_train.json": ("fiqa", {"": 575}, {"sentence": "text", "sentiment": "label"}),
    "text/conll2003": ("conll", {"train": 14041, "validation": 3250}, {"last column": "tags"}),
    "text/twitter2015_ner_train.txt": ("conll", {"": 4000}, {"last column": "tags"}),
    "text/twitter2017_ner_valid.txt": ("conll", {"": 723}, {"last column": "tags"}),
    "text/ml-100k": ("movielens", {"": 100_000}, {"u.data: rating": "label"}),
    "pneumoniamnist": ("npz", {"train": 2428, "validation": 270, "test": 468}, {"images": "image", "labels": "label"}),
    "text/wnut17_emerging.dev.conll": ("conll", {"": 1009}, {"last column": "tags"}),
    "text/wnut17_wnut17train.conll": ("conll", {"": 3394}, {"last column": "tags"}),
}


@pytest.mark.data
@pytest.mark.parametrize("name", CASES)
def test_what_is_at_hand_is_read_as_it_is(name: str, data: Path, settings: Settings) -> None:
    layout, counts, columns = CASES[name]
    found = read(data / name, settings)
    assert found.layout == layout
    assert splits(found) == counts
    assert columns.items() <= found.columns.items()
    assert all(path.is_file() for row in found.rows for path in row.media)


@pytest.mark.data
def test_tags_of_2003_become_bio_and_every_entity_stays_one(data: Path, settings: Settings) -> None:
    found = read(data / "text" / "conll2003" / "eng.testa", settings)
    tags = [tag for row in found.rows for tag in row.tags]
    assert Counter(tag[2:] for tag in tags if tag.startswith("B-")) == {
        "PER": 1842,
        "LOC": 1837,
        "ORG": 1341,
        "MISC": 922,
    }
    assert len(tags) == 51362


@pytest.mark.data
def test_a_folder_of_different_data_sets_asks_for_one(data: Path, settings: Settings) -> None:
    with pytest.raises(InputError, match="choose one of the files"):
        read(data / "text", settings)


@pytest.mark.data
def test_what_names_no_split_is_divided_and_no_file_crosses(data: Path, settings: Settings) -> None:
    found = divided(read(data / "chest_xray_notes", settings), validation=0.2, test=0.2)
    sides: dict[str, set[str]] = {}
    for row in found.rows:
        sides.setdefault(row.split, set()).add(row.content)
    assert set(sides) == {"train", "validation", "test"}
    assert not sides["train"] & sides["validation"] and not sides["train"] & sides["test"]
    assert len(found.split("validation")) >= 5
