"""Loading and estimating take turns: what libraries import and build is not ready for two threads at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mmdemo import specs
from mmdemo.errors import Cancelled
from mmdemo.runtime import backends
from mmdemo.runtime.base import Load
from mmdemo.runtime.estimates import Estimate

inside: list[int] = []
most: list[int] = []


class Engine:
    """Takes a moment, and counts who is in it."""

    def __init__(self, request: Load) -> None:
        stay()

    @staticmethod
    def estimate(request: Load) -> Estimate:
        stay()
        return Estimate(())


def stay() -> None:
    inside.append(1)
    most.append(len(inside))
    time.sleep(0.05)
    inside.pop()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setitem(backends.BACKENDS, "counted", f"{__name__}:Engine")
    spec = specs.ModelSpec("k", "Title", "counted", (), (), "", "", "", 0, 0.0)
    return lambda cancelled=lambda: False: Load(spec, {"k": tmp_path}, "cpu", 1, cancelled)


def test_an_estimate_waits_for_what_is_loaded(ask: Any) -> None:
    most.clear()
    with ThreadPoolExecutor(8) as threads:
        actions = [backends.estimate, backends.load] * 4
        list(threads.map(lambda action: action(ask()), actions))
    assert max(most) == 1 and len(most) == 8


def test_who_waits_can_leave(ask: Any) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with backends._alone(ask()):
            held.set()
            free.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    with pytest.raises(Cancelled):
        backends.estimate(ask(lambda: True))
    free.set()
    holder.join()
    assert backends.estimate(ask()).total == 0
