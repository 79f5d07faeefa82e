"""The rows of a run: read, divided, and without those that the task cannot use."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmdemo.datasets.rows import Dataset, Row
from mmdemo.errors import InputError, UnknownName
from mmdemo.settings import Settings

if TYPE_CHECKING:
    from mmdemo.training.config import TrainOptions
    from mmdemo.training.recipes.base import Recipe

NAMED = 3
"""Rows that are left out and named one by one; the others are counted."""
OTHERS = 500
"""Rows of another data set that are measured at most."""


@dataclass(frozen=True)
class Parts:
    """The rows of a run.

    Attributes:
        held: to choose the best weights by.
        final: for before and after: the test split where there is one, else `held`.
    """

    train: tuple[Row, ...]
    held: tuple[Row, ...]
    final: tuple[Row, ...]
    fingerprint: str


def parts_of(options: TrainOptions, recipe: type[Recipe], settings: Settings, note: Callable[[str], None]) -> Parts:
    """Read and divide the data set of a run.

    Raises:
        InputError: it cannot be read, or no row of it can be learned from.
    """
    from mmdemo.datasets.splits import divided

    dataset = opened(options.data, settings)
    for problem in dataset.problems[:NAMED]:
        note(problem)
    usable = fit(dataset.rows, recipe, note)
    dataset = divided(
        Dataset(dataset.name, dataset.folder, usable), validation=options.validation, test=0.0, seed=options.seed
    )
    train, held, test = (dataset.split(name) for name in ("train", "validation", "test"))
    if not train:
        raise InputError(f"{dataset.name} has no row to learn from: it needs rows that are not held out.")
    held = held or test
    if not held:
        note("No row is held out: whether it got better cannot be told.")
    return Parts(train, held, test or held, dataset.fingerprint)


def others(options: TrainOptions, recipe: type[Recipe], settings: Settings, parts: Parts,
           note: Callable[[str], None]) -> tuple[Row, ...]:  # fmt: skip
    """Rows of the other data set of a run, which it does not learn from; none where there is no such set.

    Raises:
        InputError: it cannot be read, no row of it can be used, or all of them are learned from.
    """
    if not options.also:
        return ()
    dataset = opened(options.also, settings)
    rows = fit(chosen(dataset, ""), recipe, note)
    learned = {row.content for row in parts.train}
    unseen = tuple(row for row in rows if row.content not in learned)
    if not unseen:
        raise InputError(f"{dataset.name} has only rows that are learned from: name a data set of another kind.")
    if len(unseen) < len(rows):
        note(f"{len(rows) - len(unseen)} rows of {dataset.name} are not measured: the model learns from them.")
    return some(unseen, OTHERS, options.seed)


def opened(path: str, settings: Settings) -> Dataset:
    """The data set at a path.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    from mmdemo.datasets import read

    if not path or not Path(path).expanduser().exists():
        raise InputError(f"There is no data set at {path!r}: give the path of a folder, a file or a zip.")
    return read(Path(path).expanduser().resolve(), settings)


def fit(rows: Sequence[Row], recipe: type[Recipe], note: Callable[[str], None]) -> tuple[Row, ...]:
    """The rows that the task can use; says which are left out, and why.

    Raises:
        InputError: none can be used.
    """
    kept: list[Row] = []
    notes: list[str] = []
    for row in rows:
        gone = next((path for path in row.media if not path.is_file()), None)
        if gone is not None:
            notes.append(f"{row.origin} is left out: {gone.name} is not there.")
        elif lacks := recipe.lacks(row):
            notes.append(f"{row.origin} is left out: it has not {lacks}.")
        else:
            kept.append(row)
    for sentence in notes[:NAMED]:
        note(sentence)
    if len(notes) > NAMED:
        note(f"{len(notes) - NAMED} more rows are left out.")
    if not kept and notes:
        raise InputError(f"The data set has no row that this task can use: {notes[0]}")
    if not kept:
        raise InputError("The data set has no rows.")
    return tuple(kept)


def some(rows: Sequence[Row], most: int, seed: int) -> tuple[Row, ...]:
    """At most so many rows, drawn: the first ones of a file are often of one kind."""
    if len(rows) <= most:
        return tuple(rows)
    places = sorted(random.Random(seed).sample(range(len(rows)), most))
    return tuple(rows[place] for place in places)


def chosen(dataset: Dataset, split: str) -> tuple[Row, ...]:
    """The rows of a split; without a name those that are for measuring: test, else validation, else all.

    Raises:
        UnknownName: it has no such split; lists those that it has.
    """
    names = [name for name in ("test", "validation", "train") if dataset.split(name)]
    if split and split not in names:
        raise UnknownName("split", split, names)
    if split:
        return dataset.split(split)
    return next((dataset.split(name) for name in names[:2] if name != "train"), dataset.rows)
