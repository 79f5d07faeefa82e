"""A step of a request that uses an engine: the place where others may go first, or the same step of theirs joins in.

A task yields a `Call` and takes what it gave when it is resumed. The worker runs the calls; a task that is read without
a worker runs its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")

TOGETHER = 16
"""Asks of several requests that run together at most."""
FEW = 4
"""Asks of a call that may join others. Of a larger one so many run in a turn while others wait."""


@dataclass(frozen=True)
class Wait:
    """What a request yields that can go on only when another one has ended."""


WAIT = Wait()


class Call(Generic[A, T]):
    """What is asked of an engine, and what it gave so far.

    Attributes:
        backend: the engine's loaded checkpoint.
        asks: what is asked, one by one.
        key: calls with the same key run together; None: this one runs alone.
        began: when it began to run, of the clock `time.monotonic`.
        over: whether everything that was asked has been answered.
    """

    def __init__(
        self,
        backend: Any,
        asks: Sequence[A],
        run: Callable[[Sequence[A]], Generator[tuple[int, T], None, None]],
        key: Hashable | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            run: answers some of `asks`, in their order: pairs of the place among those it was given, and what came.
        """
        self.backend, self.asks, self.key, self._run = backend, asks, key, run
        self.began: float | None = None
        self.over = False
        self._answered = 0
        self._news: list[tuple[int, T]] = []
        self._own: Iterator[tuple[int, T]] | None = None
        self._driven = False

    @property
    def left(self) -> int:
        """How many asks have not been begun."""
        return len(self.asks) - self._answered

    @property
    def is_small(self) -> bool:
        """Whether it may join the calls of others."""
        return self.key is not None and self.left <= FEW

    def steps(self) -> Iterator[Call[A, T] | tuple[int, T]]:
        """For a task: the call itself, to be yielded, and after that pairs of a place in `asks` and what came."""
        while not self.over:
            yield self
            yield from self.take()

    def take(self) -> list[tuple[int, T]]:
        """What came since this was asked last. Where nobody runs it, its next step runs now."""
        if not self._driven and not self.over:
            if self._own is None:
                self.began = time.monotonic()
                self._own = self._run(self.asks)
            try:
                return [next(self._own)]
            except StopIteration:
                self.over = True
        news, self._news = self._news, []
        return news

    def begin(self, most: int) -> int:
        """A worker runs the next asks, up to `most`; how many."""
        count = min(most, self.left)
        self._driven = True
        if self.began is None:
            self.began = time.monotonic()
        return count

    def give(self, place: int, value: T) -> None:
        """What came for one of the asks that run, counted from the first of them."""
        self._news.append((self._answered + place, value))

    def end(self, count: int) -> None:
        """So many asks have been answered."""
        self._answered += count
        self.over = not self.left

    def part(self, count: int) -> Sequence[A]:
        """The next `count` asks."""
        return self.asks[self._answered : self._answered + count]

    def run(self, asks: Sequence[A]) -> Generator[tuple[int, T], None, None]:
        """The engine's answers to asks of this call and of others with its key."""
        return self._run(asks)
