"""Work one piece at a time, in order of arrival, and a caller who only reads a queue.

The studio has one such worker for everything that uses the models: whoever holds it owns the accelerator. A piece of
work may hand a step to a thread of its own (loading in `reporting`, generating in `backends.generation`), but it
waits for that thread, so that nothing else runs meanwhile.

A Gradio handler that is stopped before its first `yield` is never resumed, so it must not hold a lock or a model:
here it holds neither, and setting the `cancelled` event is enough for the work to stop by itself at its next step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mmdemo import errors
from mmdemo.runtime.handover import Handover

T = TypeVar("T")
Cancelled = Callable[[], bool]


class Worker:
    """Runs one piece of work at a time, in order of arrival; more than one only if it is made with more threads."""

    def __init__(self, name: str = "worker", threads: int = 1) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._stops: list[threading.Event] = []
        self._closed = False
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Pieces of work that run or wait."""
        return len(self._stops)

    def report(
        self, action: Callable[[Callable[[T], None], Cancelled], object], stop: threading.Event | None = None
    ) -> Iterator[T]:
        """Run `action(report, cancelled)` when its turn comes and yield what it reports.

        Closing this generator, or losing it, sets the event behind `cancelled`; the action sees it at its next step.
        A caller who waits in this generator on one thread and stops it from another gives its own `stop`; an action
        whose `stop` is set before its turn never begins. Whatever the action raises is raised here.

        Raises:
            Cancelled: if the worker was closed before the action had ended.
        """
        handover: Handover[T, None] = Handover()
        asked = stop or threading.Event()

        def run() -> None:
            try:
                if not asked.is_set():
                    action(handover.put, asked.is_set)
                if self._closed and asked.is_set():
                    raise _closing()
            finally:
                with self._lock:
                    self._stops.remove(asked)

        with self._lock:
            if self._closed:
                raise _closing()
            self._stops.append(asked)
            self._threads.submit(handover.run, run)
        try:
            yield from handover.items()
        except BaseException:  # the reader left, or the action failed
            asked.set()
            raise

    def stream(self, work: Callable[[Cancelled], Iterator[T]], stop: threading.Event | None = None) -> Iterator[T]:
        """Run the generator function `work(cancelled)` as `report` runs an action, and yield what it yields."""

        def action(report: Callable[[T], None], cancelled: Cancelled) -> None:
            results = work(cancelled)
            try:
                for item in results:
                    report(item)
                    if cancelled():
                        break
            finally:  # now, on this thread: the next work must not begin while this one still cleans up
                if isinstance(results, Generator):
                    results.close()

        return self.report(action, stop)

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` when its turn comes and wait for what it returns."""

        def action(report: Callable[[T], None], cancelled: Cancelled) -> None:
            report(function())

        return next(self.report(action))

    def close(self) -> None:
        """Stop the work that runs at its next step, and what waits; wait for the threads, refuse more."""
        with self._lock:
            self._closed = True
            for stop in self._stops:
                stop.set()
        self._threads.shutdown(wait=True)  # what waits is run: it sees its event, does nothing and tells its reader


def _closing() -> errors.Cancelled:
    """What someone gets who waits for work when the worker is closed."""
    return errors.Cancelled("The studio is closing: start it again and try once more.")
