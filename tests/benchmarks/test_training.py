"""The rows that the benchmark of training makes are rows that the tasks learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.training import _rows, _write, made
from benchmarks.training_sides import CASES, _examples, _made
from mmdemo.datasets import read
from mmdemo.settings import Settings
from mmdemo.training import recipes


@pytest.mark.parametrize("name", CASES)
def test_rows_can_be_learned_from_and_fill_whole_batches(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    assert case.rows % case.batch == 0
    folder = tmp_path / case.task
    folder.mkdir()
    _write(folder, made(case, folder, 6))
    rows = read(folder, Settings(home=str(tmp_path))).rows
    assert len(rows) == 6 and {recipes.get(case.task).lacks(row) for row in rows} == {""}
    assert len({row.content for row in rows}) == 6


@pytest.mark.weights
@pytest.mark.parametrize("name", ["token classification", "captions, eye frozen", "sounds, ear frozen"])
def test_the_other_side_learns_from_the_same_rows(tmp_path: Path, name: str) -> None:
    import torch

    case = CASES[name]
    _write(tmp_path, made(case, tmp_path, 4))
    recipe, rows = _made(case, tmp_path, tmp_path / "home")
    examples, collate = _examples(case, recipe, rows)
    loss = getattr(recipe, "whole", recipe.model)(**collate(examples[:2]))["loss"]
    assert torch.isfinite(loss) and loss > 0


def test_the_table_compares_medians() -> None:
    told = {
        "ours": [{"speed": speed, "memory": 2**20} for speed in (1, 4, 9)],
        "trainer": [{"speed": speed, "memory": 2**21} for speed in (2, 2, 90)],
    }
    speed, memory = _rows("x", CASES["captions, eye frozen"], told)
    assert (speed.ratio, speed.met, speed.goal) == (2.0, True, "at least 2")
    assert (memory.ours, memory.theirs, memory.ratio) == ("1 MiB", "2 MiB, transformers.Trainer", 0.5)
