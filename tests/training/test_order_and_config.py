"""Which rows a step sees, what a run file may say, and how the learning rate moves."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mmdemo.errors import InputError, UnknownName
from mmdemo.training import config, order
from mmdemo.training.plan import Plan, rate


def test_an_epoch_has_every_row_once_and_the_next_has_them_in_another_order() -> None:
    sizes = [place % 17 for place in range(103)]
    first, again, second = (order.steps_of(epoch, sizes, 8, seed=5) for epoch in (0, 0, 1))
    assert first == again != second
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second)) == list(range(103))
    assert len(first) == order.per_epoch(103, 8) == 13


def test_rows_of_a_step_are_of_about_the_same_size() -> None:
    sizes = list(range(400))
    steps = order.steps_of(0, sizes, 8, seed=0)
    assert max(max(step) - min(step) for step in steps) == 7
    assert steps != sorted(steps)


def test_a_step_is_cut_as_evenly_as_can_be() -> None:
    (alone,) = order.shares(range(10), 4, processes=1)
    assert [len(piece) for piece in alone] == [4, 3, 3]
    assert list(itertools.chain(*alone)) == list(range(10))


@pytest.mark.parametrize("rows", [1, 2, 7, 9, 16])
def test_processes_share_a_step_in_equally_many_batches(rows: int) -> None:
    """Also where the last step of an epoch has fewer rows than there are processes."""
    shares = order.shares(range(rows), 2, processes=3)
    assert len({len(pieces) for pieces in shares}) == 1
    assert all(len(piece) <= 2 for pieces in shares for piece in pieces)
    assert sorted(place for pieces in shares for piece in pieces for place in piece) == list(range(rows))


def test_a_run_file_says_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    options = config.TrainOptions(task="token-classification", data="x", seed=4, label_smoothing=0.1)
    assert config.read(config.write(options, tmp_path / "new")) == options


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ('{"task": "text-classification", "lerning_rate": 1}', UnknownName, "learning_rate"),
        ('{"task": "juggling"}', UnknownName, "token-classification"),
        ('{"epochs": "three"}', InputError, "Epochs is 'three', but must be a whole number"),
        ("[1]", InputError, "one JSON object"),
        ("{", InputError, "cannot be read"),
    ],
)
def test_a_run_file_written_by_hand_is_refused_with_what_to_write(
    tmp_path: Path, text: str, kind: type[Exception], said: str
) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(kind, match=said):
        config.read(tmp_path / "run.json")


def test_the_learning_rate_rises_and_falls() -> None:
    values = {field: 0 for field in Plan.__dataclass_fields__}
    plan = Plan(**{**values, "steps": 100, "warmup": 10, "schedule": "cosine"})  # type: ignore[arg-type]
    rates = [rate(step, plan) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1
    assert all(one >= other for one, other in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.05)
    timed = Plan(**{**values, "steps": 100, "schedule": "linear", "seconds": 60.0})  # type: ignore[arg-type]
    assert rate(10, timed, 60.0) == pytest.approx(0.05)  # slower than thought: it has fallen all the same
    assert rate(10, timed, 3.0) == rate(10, timed, 0.0) > 0.9
