"""What every task asks of models, of the user and of the clock."""

from __future__ import annotations

import time
from typing import get_args

import pytest

from mmdemo.catalog import Task
from mmdemo.errors import Cancelled, UnknownName, Unsupported
from mmdemo.tasks.base import ABILITIES, Stopwatch, go_on, require


def test_a_model_that_can_is_found_and_one_that_cannot_is_refused_with_those_that_can() -> None:
    assert require("describe", "starter-describer").key == "starter-describer"
    with pytest.raises(
        Unsupported, match=r"Whisper base does not look at pictures; choose one of: starter-describer, "
    ):
        require("describe", "whisper-base")
    with pytest.raises(UnknownName, match="There is no model 'nobody'"):
        require("describe", "nobody")


def test_every_task_has_its_words() -> None:
    assert set(ABILITIES) == set(get_args(Task))


def test_work_goes_on_until_it_is_stopped() -> None:
    go_on(lambda: False)
    with pytest.raises(Cancelled):
        go_on(lambda: True)


def test_time_is_shared_by_weight_and_skipped_time_belongs_to_nobody() -> None:
    begun = time.monotonic()
    watch = Stopwatch()
    time.sleep(0.04)
    watch.share({0: 1.0, 1: 3.0})
    wall = time.monotonic() - begun
    assert watch.seconds(1) == pytest.approx(3 * watch.seconds(0))
    assert 0.04 <= watch.seconds(0) + watch.seconds(1) <= wall
    time.sleep(0.3)
    watch.skip()
    watch.share({1: 1.0})
    assert watch.seconds(0) + watch.seconds(1) < wall + 0.3
    assert watch.seconds(2) == 0
