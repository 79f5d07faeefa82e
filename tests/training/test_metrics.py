"""Scores against the libraries' own numbers, and what a bootstrap makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from mmdemo.datasets.rows import Row
from mmdemo.training import compare, metrics


def test_word_errors_are_counted_over_all_rows_after_one_normaliser() -> None:
    found = metrics.speech(["Hello, Mr. Smith!", "the red cat"], ["hello mister smith", "a red cat"], ["en", "en"])
    assert found.values == {"wer": pytest.approx(1 / 6, abs=1e-6), "cer": pytest.approx(3 / 25, abs=1e-6)}
    assert metrics.speech(["Don't go."], ["do not go"], ["en"]).values["wer"] == 0


def test_chinese_counts_letters_and_nothing_said_is_no_division_by_zero() -> None:
    found = metrics.speech(["东方商厦,嘉定店。"], ["东方商下嘉定店"], ["zh"])
    assert found.values == {"wer": pytest.approx(1 / 7, abs=1e-5), "cer": pytest.approx(1 / 7, abs=1e-5)}
    assert metrics.speech([""], ["noise"], ["en"]).values == {"wer": 0, "cer": 0}


def test_classes_agree_with_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    draw = np.random.default_rng(0)
    truth, guess = (draw.choice(list("abcd"), 200).tolist() for _ in range(2))
    found = metrics.classes(truth, guess)
    assert found.values["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert found.values["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-6)
    assert sum(map(sum, found.confusion)) == 200
    assert "weighted avg" in found.report


def test_entities_agree_with_seqeval() -> None:
    from seqeval.metrics import f1_score

    draw = np.random.default_rng(1)
    kinds = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    truth, guess = ([draw.choice(kinds, 12).tolist() for _ in range(30)] for _ in range(2))
    found = metrics.tags(truth, guess)
    assert found.values["micro_f1"] == pytest.approx(f1_score(truth, guess, average="micro"), abs=1e-6)
    assert found.values["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-6)
    assert "micro avg" in found.report and "PER" in found.report


def test_captions_agree_with_the_coco_scores() -> None:
    from pycocoevalcap.cider.cider import Cider

    truth = [["a dog runs .", "the dog is running"], ["two people sit on a bench"], ["a red car"]]
    said = ["A dog runs.", "two people on a bench", "a blue boat"]
    found = metrics.captions(truth, said)
    clean = [[metrics.caption_words(one) for one in row] for row in truth]
    expected, _ = Cider().compute_score(
        dict(enumerate(clean)), {i: [metrics.caption_words(s)] for i, s in enumerate(said)}
    )
    assert found.values["cider"] == pytest.approx(expected, abs=1e-6)
    assert set(found.values) == {"cider", "rouge_l", "bleu4"}
    assert metrics.captions([["a dog"]], [""]).values["cider"] == 0


def rows(count: int) -> list[Row]:
    return [Row(f"row {place}", text=f"text {place}", label="a" if place % 2 else "b") for place in range(count)]


def told(count: int, before: list[str], after: list[str]) -> dict[str, object]:
    return compare.report(
        rows(count), (before, after), lambda some, said: metrics.classes([row.label for row in some], said),
        lambda row: row.label, "accuracy", lower=False,
    )  # fmt: skip


def test_better_worse_and_cannot_tell_yet() -> None:
    truth = [row.label for row in rows(60)]
    wrong = ["b" if label == "a" else "a" for label in truth]
    assert told(60, wrong, truth)["verdict"] == "better"
    assert told(60, truth, wrong)["verdict"] == "worse"
    assert told(60, truth, [*truth[:-1], wrong[-1]])["verdict"] == "can't tell yet: 60 rows"
    assert told(60, truth, truth)["verdict"] == "can't tell yet: 60 rows"
    assert compare.verdict((-0.3, -0.1), lower=True, rows=9) == "better"


def test_the_rows_that_changed_most_are_shown_with_both_answers() -> None:
    truth = [row.label for row in rows(60)]
    found = told(60, ["a"] * 60, truth)
    changed = found["changed"]
    assert isinstance(changed, list) and len(changed) == compare.SHOWN
    assert {(one["before"], one["after"], one["gain"]) for one in changed} == {("a", "b", 1.0)}


def test_the_interval_of_the_accuracy_is_that_of_a_binomial() -> None:
    truth = ["a"] * 400
    scores = metrics.classes(truth, ["a"] * 300 + ["b"] * 100)
    low, high = compare.intervals(scores)["accuracy"]
    wide = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (low, high) == (pytest.approx(0.75 - wide, abs=0.01), pytest.approx(0.75 + wide, abs=0.01))


def test_rows_of_a_single_class_that_are_all_right_are_scored_without_a_warning() -> None:
    scores = metrics.classes(["cat"] * 3, ["cat"] * 3)
    assert scores.values["accuracy"] == 1 and scores.confusion == [[3]]
