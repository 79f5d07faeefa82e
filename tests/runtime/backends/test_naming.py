"""Unfamiliar pictures are named from labels, as exactly as the labels agree."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmdemo.runtime.backends.naming import Names, Statistics, article

WORDS = {
    "phrases": ["a magpie", "a jay", "a robin", "a cup", "espresso"],
    "kinds": [{"phrase": "a bird", "classes": [0, 1, 2]}, {"phrase": "an animal", "classes": [0, 1, 2]},
              {"phrase": "a drink", "classes": [4]}],
    "words": [["magpie", "bird"], ["jay", "bird"], ["robin", "bird"], ["cup"], ["espresso", "coffee"]],
}  # fmt: skip


def logits(*probabilities: float) -> np.ndarray:
    return np.log(np.array(probabilities, np.float32))


@pytest.fixture(scope="module")
def statistics() -> Statistics:
    """Of 400 pictures that show birds."""
    random = np.random.default_rng(0)
    seen = random.normal([4, 4, 4, 0, 0], size=(400, 5))
    return Statistics.of(seen.astype(np.float32), components=3, quantile=0.05)


@pytest.fixture
def names(statistics: Statistics) -> Names:
    return Names(WORDS, statistics)


@pytest.mark.parametrize(
    ("probabilities", "sentence"),
    [
        ((0.01, 0.02, 0.02, 0.05, 0.9), "Espresso."),
        ((0.9, 0.02, 0.02, 0.03, 0.03), "A magpie."),
        ((0.4, 0.3, 0.2, 0.05, 0.05), "A bird, perhaps a magpie."),
        ((0.1, 0.1, 0.1, 0.4, 0.3), "Perhaps a cup or espresso."),
    ],
)
def test_a_sentence_says_no_more_than_the_labels_agree_on(
    names: Names, probabilities: tuple[float, ...], sentence: str
) -> None:
    assert names.sentence(logits(*probabilities)) == sentence


def test_a_sentence_that_speaks_of_a_likely_label_may_stand(names: Names) -> None:
    seen = logits(0.5, 0.3, 0.1, 0.08, 0.02)
    assert names.supports(seen, "Two birds sit on a fence.")
    assert names.supports(seen, "A cup on a table.")
    assert not names.supports(seen, "A man holds a cup."), "no label speaks for a man"
    assert not names.supports(seen, "Coffee on a table."), "espresso is not likely enough"
    assert not names.supports(seen, "A blackbird."), "a word is a whole word"


def test_pictures_of_other_kinds_are_unfamiliar_and_few_of_the_same_kind(statistics: Statistics, names: Names) -> None:
    random = np.random.default_rng(1)
    alike = random.normal([4, 4, 4, 0, 0], size=(400, 5)).astype(np.float32)
    other = random.normal([0, 0, 0, 4, 4], size=(400, 5)).astype(np.float32)
    assert names.unfamiliar(alike).mean() < 0.12
    assert names.unfamiliar(other).mean() > 0.9


def test_what_is_saved_judges_alike(statistics: Statistics, tmp_path: Path) -> None:
    assert Names.of(tmp_path) is None
    (tmp_path / "names.json").write_text(json.dumps(WORDS))
    assert Names.of(tmp_path) is None, "half of it is nothing"
    statistics.save(tmp_path / "familiar.npz")
    again = Names.of(tmp_path)
    assert again is not None
    seen = np.random.default_rng(2).normal(size=(50, 5)).astype(np.float32) * 3
    assert np.array_equal(again.unfamiliar(seen), Names(WORDS, statistics).unfamiliar(seen))


@pytest.mark.parametrize(
    ("name", "phrase"),
    [("tench", "a tench"), ("abacus", "an abacus"), ("unicycle", "a unicycle"), ("sunglasses", "sunglasses"),
     ("grass", "a grass"), ("platypus", "a platypus"), ("Afghan hound", "an Afghan hound")],
)  # fmt: skip
def test_names_have_their_article(name: str, phrase: str) -> None:
    assert article(name) == phrase
