"""What nobody uses goes by itself, and the clock for it runs only while something is loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mmdemo.catalog import ModelSpec
from mmdemo.errors import Cancelled
from mmdemo.runtime import manager as manager_module
from mmdemo.runtime.idle import Idle
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from mmdemo.studio import Studio


class Clock:
    """Stands in for the manager's clock."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(manager_module, "time", clock)
    return clock


def timers(idle: Idle) -> list[threading.Timer]:
    """Those of this clock alone: another test's studio may have one."""
    return [one for one in threading.enumerate() if isinstance(one, threading.Timer) and one.function == idle._look]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_what_was_not_used_for_so_long_is_unloaded_and_the_rest_says_when(
    world: Callable[..., ModelSpec], manager: Manager, clock: Clock
) -> None:
    world("old")
    world("new")
    old = manager.get("old")
    clock.now += 50
    new = manager.get("new")
    clock.now += 50
    assert manager.unload_idle(100) == 50
    assert old.closed and not new.closed  # type: ignore[attr-defined]
    assert manager.status().loaded == ("new",)
    clock.now += 50
    assert manager.unload_idle(100) is None
    assert manager.status().loaded == ()


def test_long_work_is_use_until_its_end(world: Callable[..., ModelSpec], manager: Manager, clock: Clock) -> None:
    world("other")
    world("long")
    manager.get("other")
    clock.now += 1
    with manager.lease() as models:
        models.get("long")
        clock.now += 5000  # a film of hours
    manager.unload_idle(100)
    assert manager.status().loaded == ("long",)


def test_it_looks_when_something_may_be_idle_and_again_when_told_to() -> None:
    asked: list[tuple[float, float]] = []
    answers = iter([0.2, None])
    begun = time.monotonic()

    def unload(seconds: float) -> float | None:
        asked.append((seconds, time.monotonic() - begun))
        return next(answers)

    idle = Idle(0.1, unload)
    idle.expect()
    until(lambda: len(asked) == 2)
    until(lambda: timers(idle) == [])
    assert [seconds for seconds, _ in asked] == [0.1, 0.1]
    assert asked[0][1] >= 0.1 and asked[1][1] >= 0.3


def test_zero_is_never_and_after_closing_nobody_looks() -> None:
    def unload(seconds: float) -> float | None:
        raise AssertionError("nobody asked for this")

    never = Idle(0, unload)
    never.expect()
    assert timers(never) == []
    idle = Idle(1000, unload)
    idle.expect()
    assert len(timers(idle)) == 1
    idle.close()
    idle.expect()
    until(lambda: timers(idle) == [])


def test_a_studio_that_closes_meanwhile_is_no_error() -> None:
    def unload(seconds: float) -> float | None:
        raise Cancelled("The studio is closing.")

    idle = Idle(0.01, unload)
    idle.expect()
    until(lambda: timers(idle) == [])


def test_the_studio_unloads_after_the_work_and_loads_again_for_the_next(
    world: Callable[..., ModelSpec], tmp_path: Path
) -> None:
    world("toy")
    studio = Studio(Settings(home=str(tmp_path), offline=True, device="cpu"))
    studio._idle = Idle(0.2, studio._unload_idle)
    for _ in range(2):
        assert list(studio.load("toy"))
        assert studio.status().loaded == ("toy",)
        until(lambda: studio.status().loaded == ())
    studio.close()
    until(lambda: timers(studio._idle) == [])  # a cancelled timer's thread takes a moment to end
