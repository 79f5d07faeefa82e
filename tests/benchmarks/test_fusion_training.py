"""The loop on kept features and the plain one take the same steps; the table says so, and when they do not."""

from __future__ import annotations

import pytest

from benchmarks import fusion_training


@pytest.mark.weights
def test_all_three_learn_and_the_first_two_alike() -> None:
    kept, same, trainer, _ = fusion_training.run(turns=1, rows=fusion_training.CASE.batch)
    assert same.met, same
    assert kept.ratio and kept.ratio > 1 and trainer.ratio and trainer.ratio > 0


def test_losses_that_are_apart_are_told() -> None:
    speeds = {"ours": 10.0, "plain": 1.0, "trainer": 20.0, "picked": 30.0}
    kept, same, trainer, picked = fusion_training.table(speeds, [2.0, 1.0], [2.0, 1.1])
    assert (kept.ratio, kept.met) == (10, True) and (trainer.ratio, trainer.met) == (0.5, False)
    assert (same.ratio, same.met) == (0.1, False)
    assert (picked.ratio, picked.met) == (30, None)
