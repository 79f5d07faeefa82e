"""Readers of a worker, and an engine that answers letter by letter."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from mmdemo import catalog
from mmdemo.errors import Cancelled, Unsupported
from mmdemo.runtime.calls import Call
from mmdemo.runtime.worker import Worker

SOON = 10.0
Asked = Callable[[], bool]


class Engine:
    """Answers names, one letter a step, all of them in step; keeps what it was asked together."""

    spec = catalog.get("starter-describer")

    def __init__(self, pause: float = 0.0) -> None:
        self.runs: list[list[str]] = []
        self.pause = pause
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def answer(self, names: Sequence[str]) -> Generator[tuple[int, str], None, None]:
        self.runs.append(list(names))
        self.gate.wait(SOON)
        if "bad" in names:
            raise Unsupported("No answer to bad.")
        for length in range(1, max(map(len, names)) + 1):
            time.sleep(self.pause)
            if self.error:
                raise self.error
            for place, name in enumerate(names):
                if length <= len(name):
                    yield place, name[:length]

    def call(self, *names: str) -> Call[str, str]:
        return Call(self, names, self.answer, key="engine")


def asking(engine: Engine, *calls: Sequence[str]) -> Callable[[Asked], Iterator[Any]]:
    """Work that makes one call after the other and yields what comes."""

    def work(cancelled: Asked) -> Iterator[Any]:
        for names in calls:
            call = engine.call(*names)
            for step in call.steps():
                yield step if isinstance(step, Call) else step[1]

    return work


class Reader(threading.Thread):
    """Reads one request to its end."""

    def __init__(self, worker: Worker, work: Callable[[Asked], Iterator[Any]], who: str = "") -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.items: list[Any] = []
        self.error: BaseException | None = None
        self.ended = 0.0
        self._stream = worker.stream(work, self.stop, who, lambda place: place)
        self.start()

    def run(self) -> None:
        try:
            for item in self._stream:
                self.items.append(item)
        except BaseException as error:  # noqa: BLE001  # asserted by the tests
            self.error = error
        self.ended = time.monotonic()

    @property
    def words(self) -> list[str]:
        return [item for item in self.items if isinstance(item, str)]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def busy(worker: Worker) -> threading.Event:
    """Hold the worker until the event that is returned is set."""
    begun, go = threading.Event(), threading.Event()

    def action(report: Callable[[int], None], cancelled: Asked) -> None:
        begun.set()
        go.wait(SOON)

    def read() -> None:
        with contextlib.suppress(Cancelled):
            list(worker.report(action))

    threading.Thread(target=read, daemon=True).start()
    assert begun.wait(SOON)
    return go


def readers(worker: Worker, *works: tuple[Callable[[Asked], Iterator[Any]], str]) -> list[Reader]:
    """Readers whose requests stand in line in this order."""
    made = []
    for work, who in works:
        before = worker.waiting
        made.append(Reader(worker, work, who))
        until(lambda before=before: worker.waiting == before + 1)
    return made
