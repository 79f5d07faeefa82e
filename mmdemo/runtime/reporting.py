"""A function that reports by callback, as a generator of what it reports."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from mmdemo.runtime.handover import threaded
from mmdemo.runtime.sources.base import Progress

T = TypeVar("T")


def reported(action: Callable[[Callable[[Progress], None]], T]) -> Generator[Progress, None, T]:
    """Run `action(report)` in a helper thread, yield what it reports, return what it returns.

    Closing this generator waits for the action, which is expected to ask its own `cancelled` between steps: nothing
    else may begin on the worker while a model is still being loaded.
    """
    return threaded(action, "reported")
