"""A function on one thread, what it gives on another: one queue, one end, errors included."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
BEAT = 0.2
"""Seconds without an item after which a reader looks around."""


@dataclass(frozen=True)
class _End(Generic[R]):
    """What an action returned."""

    value: R


@dataclass(frozen=True)
class _Failure:
    """What an action raised."""

    error: BaseException


class Handover(Generic[T, R]):
    """What an action gives while it runs on its own thread, for one reader on another."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[T | _End[R] | _Failure] = queue.SimpleQueue()

    def put(self, item: T) -> None:
        """Give one item; never waits."""
        self._queue.put(item)

    def run(self, action: Callable[[], R]) -> None:
        """Run `action`, on the giving thread; what it returns or raises ends `items`."""
        try:
            value = action()
        except BaseException as error:  # noqa: BLE001  # raised again in the reader's thread
            self.fail(error)
        else:
            self.end(value)

    def end(self, value: R) -> None:
        """Nothing more comes; `items` returns `value`."""
        self._queue.put(_End(value))

    def fail(self, error: BaseException) -> None:
        """Nothing more comes; `items` raises `error`."""
        self._queue.put(_Failure(error))

    def items(self, idle: Callable[[], Iterable[T]] | None = None) -> Generator[T, None, R]:
        """The items in order, as they come; returns what the action returned, raises what it raised.

        Args:
            idle: asked each `BEAT` seconds in which nothing came; what it gives is yielded, what it raises is raised.
        """
        while True:
            try:
                item = self._queue.get(timeout=BEAT if idle else None)
            except queue.Empty:
                if idle:
                    yield from idle()
                continue
            if isinstance(item, _Failure):
                raise item.error
            if isinstance(item, _End):
                return item.value
            yield item


def threaded(
    action: Callable[[Callable[[T], None]], R], name: str, stop: Callable[[], None] = lambda: None
) -> Generator[T, None, R]:
    """Run `action(put)` on a thread of its own, yield what it puts, return what it returns, raise what it raises.

    The thread is gone when this generator has ended, whatever way it ends: closing it calls `stop` and waits.
    """
    handover: Handover[T, R] = Handover()
    thread = threading.Thread(target=handover.run, args=(lambda: action(handover.put),), name=name, daemon=True)
    thread.start()
    try:
        return (yield from handover.items())
    finally:
        stop()
        thread.join()
