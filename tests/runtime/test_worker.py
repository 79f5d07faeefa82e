"""One thread, one piece of work at a time, and a reader who may leave whenever they like."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mmdemo.errors import Cancelled, UnreadableMedia
from mmdemo.runtime.reporting import reported
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.worker import Worker

Asked = Callable[[], bool]
SOON = 10.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("test")
    yield made
    made.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other threads do."""
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def test_results_come_in_order_and_from_the_one_thread(worker: Worker) -> None:
    def work(cancelled: Asked) -> Iterator[tuple[int, str]]:
        for number in range(50):
            yield number, threading.current_thread().name

    seen = list(worker.stream(work))
    assert [number for number, _ in seen] == list(range(50))
    assert {name for _, name in seen} == {"test_0"}


def test_work_runs_one_piece_after_the_other_in_order_of_arrival(worker: Worker) -> None:
    log: list[str] = []
    go = threading.Event()

    def first(cancelled: Asked) -> Iterator[str]:
        yield "begun"
        go.wait(SOON)
        log.append("first")

    def later(name: str) -> Callable[[Asked], Iterator[str]]:
        def work(cancelled: Asked) -> Iterator[str]:
            log.append(name)
            yield name

        return work

    stream = worker.stream(first)
    assert next(stream) == "begun"
    readers = []
    for number, name in enumerate("abc"):
        readers.append(threading.Thread(target=lambda name=name: list(worker.stream(later(name)))))
        readers[-1].start()
        until(lambda number=number: worker.waiting == number + 2)
    go.set()
    assert list(stream) == []
    for reader in readers:
        reader.join(SOON)
    assert log == ["first", "a", "b", "c"]
    until(lambda: worker.waiting == 0)


def test_an_error_reaches_the_reader_after_what_came_before_it_and_later_work_runs(worker: Worker) -> None:
    def work(cancelled: Asked) -> Iterator[int]:
        yield 1
        raise UnreadableMedia("photo.jpg is cut short: copy it again.")

    stream = worker.stream(work)
    assert next(stream) == 1
    with pytest.raises(UnreadableMedia, match="cut short"):
        next(stream)
    assert worker.call(lambda: 7) == 7


def test_a_reader_who_leaves_before_the_first_item_cancels(worker: Worker) -> None:
    asked = threading.Event()
    ended = threading.Event()
    stop = threading.Event()

    def loading(cancelled: Asked) -> Iterator[str]:
        asked.set()
        until(cancelled)
        ended.set()
        return
        yield "never"

    reader = threading.Thread(target=lambda: list(worker.stream(loading, stop)))
    reader.start()
    assert asked.wait(SOON)
    stop.set()
    assert ended.wait(SOON)
    reader.join(SOON)
    assert worker.call(lambda: "next") == "next"


def test_work_whose_reader_left_while_it_waited_never_begins(worker: Worker) -> None:
    go, stop = threading.Event(), threading.Event()
    begun: list[str] = []

    def busy(cancelled: Asked) -> Iterator[str]:
        yield "begun"
        go.wait(SOON)

    def waiting(cancelled: Asked) -> Iterator[str]:
        begun.append("waiting")
        yield "item"

    stream = worker.stream(busy)
    next(stream)
    reader = threading.Thread(target=lambda: list(worker.stream(waiting, stop)))
    reader.start()
    until(lambda: worker.waiting == 2)
    stop.set()
    go.set()
    reader.join(SOON)
    assert not reader.is_alive()
    assert begun == []
    assert list(stream) == []


@pytest.mark.parametrize("how", ["closed", "lost"])
def test_closing_midway_stops_the_work_within_one_step(worker: Worker, how: str) -> None:
    steps: list[int] = []
    released = threading.Event()
    step = threading.Semaphore(0)

    def work(cancelled: Asked) -> Iterator[int]:
        try:
            for number in range(1000):
                step.acquire(timeout=SOON)
                steps.append(number)
                yield number
        finally:
            released.set()

    stream = worker.stream(work)
    step.release()
    assert next(stream) == 0
    if how == "closed":
        stream.close()  # type: ignore[attr-defined]
    else:
        del stream
        gc.collect()
    step.release(5)
    assert released.wait(SOON), "its own clean-up has run"
    assert worker.call(lambda: list(steps)) in ([0], [0, 1]), "one step that had begun may end"


def test_the_next_work_begins_after_the_clean_up_of_the_one_before(worker: Worker) -> None:
    log: list[str] = []

    def work(cancelled: Asked) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            time.sleep(0.05)
            log.append("cleaned up")

    stream = worker.stream(work)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    worker.call(lambda: log.append("next"))
    assert log == ["cleaned up", "next"]


def test_closing_the_worker_stops_what_runs_and_tells_those_who_wait() -> None:
    worker = Worker("closing")
    begun = threading.Event()
    told: list[str] = []

    def endless(cancelled: Asked) -> Iterator[int]:
        begun.set()
        while not cancelled():
            time.sleep(0.005)
            yield 1

    def read() -> None:
        with pytest.raises(Cancelled) as caught:
            list(worker.stream(endless))
        told.append(str(caught.value))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    assert begun.wait(SOON)
    until(lambda: worker.waiting == 3)
    worker.close()
    for reader in readers:
        reader.join(SOON)
    assert told == ["The studio is closing: start it again and try once more."] * 3
    assert worker.waiting == 0
    with pytest.raises(Cancelled, match="closing"):
        worker.call(lambda: 1)


def test_a_stop_event_that_nobody_set_can_be_used_for_the_next_piece_of_work(worker: Worker) -> None:
    stop = threading.Event()
    for number in range(2):
        assert list(worker.stream(lambda cancelled, number=number: iter([number]), stop)) == [number]
    assert not stop.is_set()


def test_an_action_reports_while_it_runs(worker: Worker) -> None:
    go = threading.Event()

    def action(report: Callable[[str], None], cancelled: Asked) -> str:
        report("begun")
        go.wait(SOON)
        report(f"ended, cancelled: {cancelled()}")
        return "nobody reads this"

    events = worker.report(action)
    assert next(events) == "begun"
    go.set()
    assert list(events) == ["ended, cancelled: False"]


def test_a_worker_with_more_threads_runs_as_much_at_once_and_no_more() -> None:
    both, begun = threading.Barrier(2), []

    def action(report: Callable[[int], None], cancelled: Asked) -> None:
        begun.append(1)
        both.wait(SOON)
        report(len(begun))

    worker = Worker("many", threads=2)
    try:
        counts: list[int] = []
        readers = [threading.Thread(target=lambda: counts.extend(worker.report(action))) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(SOON)
        assert len(counts) == 4
        assert min(counts) == 2, "the first two ran together"
    finally:
        worker.close()


def test_call_passes_on_what_the_function_returns_or_raises(worker: Worker) -> None:
    assert worker.call(lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 // 0)


def test_no_other_work_begins_while_a_cancelled_action_still_runs(worker: Worker) -> None:
    log: list[str] = []

    def work(cancelled: Asked) -> Iterator[Progress]:
        def load(report: Callable[[Progress], None]) -> None:
            report(Progress("loading"))
            until(cancelled)
            time.sleep(0.05)
            log.append("loading has ended")

        yield from reported(load)

    stream = worker.stream(work)
    assert next(stream) == Progress("loading")
    stream.close()  # type: ignore[attr-defined]
    worker.call(lambda: log.append("next"))
    assert log == ["loading has ended", "next"]
