"""Splits by content: nothing is on two sides, and a row stays where it is when others come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmdemo.datasets.rows import Dataset, Row
from mmdemo.datasets.splits import crossing, divided
from mmdemo.errors import InputError


def texts(count: int, **more: str) -> Dataset:
    return Dataset("d", Path(), tuple(Row(str(n), text=f"text {n}", label="x", **more) for n in range(count)))


def sides(dataset: Dataset) -> dict[str, str]:
    return {row.text: row.split for row in dataset.rows}


@pytest.mark.parametrize("count", [2, 3, 10, 50, 1000])
def test_a_share_is_held_out_and_something_is_left_to_learn(count: int) -> None:
    found = divided(texts(count), validation=0.1)
    held = len(found.split("validation"))
    assert max(1, 0.05 * count) <= held <= max(1, 0.2 * count)
    assert held + len(found.split("train")) == count
    assert len(divided(texts(1)).split("train")) == 1


def test_the_same_seed_gives_the_same_and_more_rows_move_none() -> None:
    few, many = sides(divided(texts(300), seed=3)), sides(divided(texts(600), seed=3))
    assert all(many[text] == split for text, split in few.items())
    assert sides(divided(texts(300), seed=4)) != few


def test_one_content_is_never_on_two_sides() -> None:
    dataset = texts(40)
    twice = replace(dataset, rows=dataset.rows + dataset.rows)
    found = divided(twice, validation=0.3, test=0.2)
    assert crossing(found.rows) == {}
    assert {row.split for row in found.rows} == {"train", "validation", "test"}


def test_splits_that_are_named_stay_and_the_missing_one_comes_out_of_training() -> None:
    named = Dataset(
        "d", Path(), texts(50, split="train").rows + tuple(Row(f"t{n}", text=f"t {n}", split="test") for n in range(9))
    )
    found = divided(named, validation=0.2, test=0.5)
    assert {row.origin for row in found.split("test")} == {f"t{n}" for n in range(9)}
    assert 5 <= len(found.split("validation")) <= 20
    whole = divided(found)
    assert whole is found, "nothing is to be done"
    loose = replace(
        found, rows=(*found.rows, Row("again", text=found.split("validation")[0].text), Row("new", text="new"))
    )
    assert [row.split for row in divided(loose).rows[-2:]] == ["validation", "train"]


def test_shares_that_leave_nothing_are_refused() -> None:
    for validation, test in ((0.5, 0.5), (-0.1, 0.0), (1.0, 0.0)):
        with pytest.raises(InputError, match="must be from 0 to 1"):
            divided(texts(5), validation=validation, test=test)
