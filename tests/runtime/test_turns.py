"""Long requests give way, everybody has their turn, and who waits knows their place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mmdemo.errors import StudioError
from mmdemo.runtime.calls import WAIT
from mmdemo.runtime.line import PATIENCE, Place
from mmdemo.runtime.worker import Worker
from tests.runtime.turning import SOON, Asked, Engine, asking, busy, readers, until


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("turns")
    yield made
    made.close()


def test_one_request_does_not_wait_for_the_end_of_another_with_a_thousand_pictures(worker: Worker) -> None:
    engine = Engine()
    batches = [[f"{batch:02}-{picture}" for picture in range(16)] for batch in range(60)]
    engine.gate.clear()
    (many,) = readers(worker, (asking(engine, *batches), "batch"))
    until(lambda: len(engine.runs) == 1)
    (one,) = readers(worker, (asking(engine, ["single"]), "person"))
    engine.gate.set()
    one.join(SOON)
    many.join(SOON)
    assert one.words == ["s", "si", "sin", "sing", "singl", "single"]
    place = engine.runs.index(["single"])
    assert place <= 2, "after the batch that ran, and at most one more"
    assert one.ended < many.ended
    assert sum(len(run) for run in engine.runs) == 961 and len(many.words) == 60 * 70


def test_a_request_that_is_stopped_in_line_leaves_at_once_and_never_runs(worker: Worker) -> None:
    engine = Engine()
    go = busy(worker)
    first, second = readers(worker, (asking(engine, ["first"]), "a"), (asking(engine, ["second"]), "b"))
    first.stop.set()
    first.join(1.0)
    assert not first.is_alive() and first.words == [] and first.error is None
    assert worker.waiting == 2, "what runs, and the second"
    go.set()
    second.join(SOON)
    assert engine.runs == [["second"]]


def test_a_request_that_is_stopped_between_two_calls_closes_what_it_opened(worker: Worker) -> None:
    engine, closed = Engine(), []

    def work(cancelled: Asked) -> Iterator[Any]:
        try:
            yield from asking(engine, ["one"], ["two"])(cancelled)
        finally:
            closed.append(threading.current_thread().name)

    (reader,) = readers(worker, (work, "a"))
    until(lambda: bool(reader.words))
    reader.stop.set()
    reader.join(SOON)
    until(lambda: worker.waiting == 0)
    assert closed == ["turns_0"]


def test_people_who_wait_read_their_place_and_about_how_long(worker: Worker) -> None:
    engine = Engine(pause=0.01)
    list(worker.stream(asking(engine, ["warm up"])))
    go = busy(worker)
    people = readers(worker, *[(asking(engine, [name]), name) for name in ("ada", "bob")])
    until(lambda: all(person.items for person in people))
    assert [person.items[0].number for person in people] == [1, 2]
    assert all(person.items[0].seconds in (0, 1) for person in people), "a turn took less than a tenth of a second"
    people[0].stop.set()
    until(lambda: Place(1, people[1].items[-1].seconds) == people[1].items[-1])
    go.set()
    for person in people:
        person.join(SOON)
    assert people[1].words[-1] == "bob"


def test_nobody_knows_how_long_before_anything_has_run(worker: Worker) -> None:
    go = busy(worker)
    (ada,) = readers(worker, (asking(Engine(), ["ada"]), "ada"))
    until(lambda: bool(ada.items))
    assert ada.items[0] == Place(1, None)
    go.set()
    ada.join(SOON)


def test_people_take_turns_however_many_requests_one_of_them_sends(worker: Worker) -> None:
    engine, order = Engine(), []

    def work(name: str) -> Callable[[Asked], Iterator[str]]:
        def begin(cancelled: Asked) -> Iterator[str]:
            order.append(name)
            yield name

        return begin

    go = busy(worker)
    sent = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")]
    people = readers(worker, *[(work(name), who) for name, who in sent])
    go.set()
    for person in people:
        person.join(SOON)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert engine.runs == []


def test_those_who_come_do_not_keep_a_long_request_from_its_end(worker: Worker) -> None:
    engine = Engine()
    (long,) = readers(worker, (asking(engine, ["start"], ["more"]), "long"))
    engine.gate.clear()
    long.join(0.01)
    until(lambda: ["more"] in engine.runs or bool(long.words))
    crowd = readers(worker, *[(asking(engine, ["x" * 5] * 5), f"p{number}") for number in range(2 * PATIENCE)])
    engine.gate.set()
    for reader in [long, *crowd]:
        reader.join(SOON)
    assert long.words[-1] == "more"
    assert long.ended <= max(person.ended for person in crowd)


def test_a_request_that_waits_goes_on_when_another_has_ended(worker: Worker) -> None:
    free = []

    def waits(cancelled: Asked) -> Iterator[Any]:
        while not free:
            yield WAIT
        yield "now"

    def frees(cancelled: Asked) -> Iterator[Any]:
        free.append(1)
        yield "freed"

    go = busy(worker)
    waiting, freeing = readers(worker, (waits, "a"), (frees, "b"))
    go.set()
    for reader in (waiting, freeing):
        reader.join(SOON)
    assert (waiting.words, freeing.words) == (["now"], ["freed"])


def test_a_request_that_waits_leaves_when_it_is_stopped_and_when_the_worker_closes() -> None:
    worker = Worker("closing")

    def waits(cancelled: Asked) -> Iterator[Any]:
        while True:
            yield WAIT

    go = busy(worker)
    one, two = readers(worker, (waits, "a"), (waits, "b"))
    one.stop.set()
    one.join(SOON)
    assert not one.is_alive()
    go.set()
    worker.close()
    two.join(SOON)
    assert isinstance(two.error, StudioError) and "closing" in str(two.error)
