"""Requests that run: each can be stopped from another thread, and shows that it is alive while nothing comes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
_DONE = object()
BEAT = 0.4
"""Seconds after which a waiting handler yields nothing new: Gradio sees a lost page only when a handler yields."""


@dataclass
class Run:
    """One request of one person in one tab.

    Attributes:
        stop: ends the work. The worker sets it too, when the work has ended, so it says nothing about why.
        halted: the person pressed Stop.
        replaced: a newer request of the same person took its place, or the page was closed: nobody looks any more.
        who: the person, as far as the page knows them: their session.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)
    halted: bool = False
    replaced: bool = False
    who: str = ""

    @property
    def over(self) -> bool:
        """Whether somebody ended it before its time."""
        return self.halted or self.replaced

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started


class Running:
    """What runs now, by person (Gradio's session) and tab; a new request in a tab ends the one before."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], Run] = {}
        self._lock = threading.Lock()

    def begin(self, session: str | None, tab: str) -> Run:
        """A new run; the one before it in this tab is stopped."""
        run = Run(who=session or "")
        with self._lock:
            before = self._runs.get((session or "", tab)) if session else None
            if session:
                self._runs[session, tab] = run
        if before is not None:
            before.replaced = True
            before.stop.set()
        return run

    def stop(self, session: str | None, tab: str) -> None:
        """Stop what runs in a tab; nothing happens if nothing does."""
        with self._lock:
            run = self._runs.get((session or "", tab))
        if run is not None:
            run.halted = True
            run.stop.set()

    def leave(self, session: str | None) -> None:
        """The person closed the page: stop everything of theirs."""
        with self._lock:
            gone = [key for key in self._runs if key[0] == session]
            runs = [self._runs.pop(key) for key in gone]
        for run in runs:
            run.replaced = True
            run.stop.set()


def follow(make: Callable[[], Iterator[T]], run: Run, beat: float = BEAT) -> Iterator[tuple[T, ...]]:
    """Read `make()` on a thread of its own; yield what came, or an empty tuple each `beat` seconds.

    Ends at once when the run is stopped, without waiting for work that cannot be interrupted. Whatever `make()` raises
    is raised here.
    """
    items: queue.SimpleQueue[object] = queue.SimpleQueue()

    def read() -> None:
        try:
            for item in make():
                items.put(item)
            items.put(_DONE)
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            items.put(error)

    threading.Thread(target=read, name="follow", daemon=True).start()
    try:
        while not run.over:
            batch: list[T] = []
            end: object = None
            try:
                item = items.get(timeout=beat)
                while True:
                    if item is _DONE or isinstance(item, BaseException):
                        end = item
                        break
                    batch.append(item)  # type: ignore[arg-type]
                    item = items.get_nowait()
            except queue.Empty:
                pass
            if batch or end is None:
                yield tuple(batch)
            if isinstance(end, BaseException):
                raise end
            if end is _DONE:
                return
    finally:
        run.stop.set()
