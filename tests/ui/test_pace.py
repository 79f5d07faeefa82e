"""How long something still takes."""

from __future__ import annotations

import pytest

from mmdemo.ui.pace import Pace


def test_it_is_told_from_the_speed_since_the_first_share_and_not_from_the_loading_before() -> None:
    pace = Pace()
    assert pace.left(0.0, 60.0) is None
    assert pace.left(0.25, 65.0) == pytest.approx(15.0)
    assert pace.left(0.5, 70.0) == pytest.approx(10.0)
    assert pace.left(1.0, 80.0) == 0.0


def test_nothing_is_said_before_the_speed_is_known() -> None:
    pace = Pace()
    assert pace.left(None, 0.0) is None
    assert [pace.left(share, at) for share, at in ((0.0, 0.0), (0.5, 1.0), (0.5, 1.9))] == [None, None, None]
    assert pace.left(0.5, 4.0) == pytest.approx(4.0)
    slow = Pace()
    assert [slow.left(share, at) for share, at in ((0.0, 0.0), (0.01, 30.0))] == [None, None]


def test_a_share_that_shrinks_begins_anew() -> None:
    pace = Pace()
    pace.left(0.0, 0.0)
    assert pace.left(0.9, 9.0) == pytest.approx(1.0)
    assert pace.left(0.1, 10.0) is None
    assert pace.left(0.2, 14.0) == pytest.approx(32.0)
