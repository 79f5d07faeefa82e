"""Small calls run together, and one person's stop or fault is theirs alone; a broken engine is a sentence."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mmdemo.errors import Crashed, Unsupported
from mmdemo.runtime.calls import FEW, Call
from mmdemo.runtime.worker import Worker
from tests.runtime.turning import SOON, Engine, asking, busy, readers, until


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("turns")
    yield made
    made.close()


def test_a_large_batch_is_cut_while_others_wait_and_loses_nothing(worker: Worker) -> None:
    engine = Engine()
    go = busy(worker)
    names = [f"p{number:02}" for number in range(10)]
    large, other = readers(worker, (asking(engine, names), "a"), (asking(engine, ["x" * 3, "y" * 3] * 3), "b"))
    go.set()
    large.join(SOON)
    other.join(SOON)
    assert max(map(len, engine.runs)) <= 6 and len(engine.runs[0]) == FEW
    assert [word for word in large.words if len(word) == 3] == names


def test_small_calls_of_several_people_run_together_and_each_gets_their_own(worker: Worker) -> None:
    engine = Engine()
    go = busy(worker)
    people = readers(worker, *[(asking(engine, [name]), name) for name in ("ada", "bob", "cy", "dora")])
    go.set()
    for person in people:
        person.join(SOON)
    assert engine.runs == [["ada", "bob", "cy", "dora"]]
    assert [person.words[-1] for person in people] == ["ada", "bob", "cy", "dora"]
    assert people[2].words == ["c", "cy"]


def test_what_one_person_stops_goes_on_for_the_others(worker: Worker) -> None:
    engine = Engine(pause=0.02)
    go = busy(worker)
    names = ["a" * 20, "b" * 20]
    ada, bob = readers(worker, *[(asking(engine, [name]), name) for name in names])
    go.set()
    until(lambda: len(ada.words) >= 3)
    ada.stop.set()
    pressed = time.monotonic()
    ada.join(SOON)
    assert ada.ended - pressed < 1.0 and ada.error is None
    bob.join(SOON)
    assert bob.words[-1] == names[1] and len(ada.words) < 20
    assert len(engine.runs) == 1


def test_when_all_have_left_the_engine_stops(worker: Worker) -> None:
    engine = Engine(pause=0.01)
    (ada,) = readers(worker, (asking(engine, ["a" * 1000]), "ada"))
    until(lambda: len(ada.words) >= 2)
    ada.stop.set()
    begun = time.monotonic()
    assert worker.call(lambda: 5) == 5
    assert time.monotonic() - begun < 1.0


def test_the_fault_of_one_is_not_that_of_those_who_ran_with_it(worker: Worker) -> None:
    engine = Engine()
    go = busy(worker)
    good, bad, other = readers(worker, *[(asking(engine, [name]), name) for name in ("good", "bad", "other")])
    go.set()
    for reader in (good, bad, other):
        reader.join(SOON)
    assert (good.words[-1], other.words[-1], bad.words) == ("good", "other", [])
    assert isinstance(bad.error, Unsupported)
    assert engine.runs[0] == ["good", "bad", "other"] and len(engine.runs) == 4


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), "broke down at work (RuntimeError: CUDA error"),
        (MemoryError(), "ran out of memory at work (MemoryError) and was unloaded: try again with less at once"),
        (RuntimeError("std::bad_alloc"), "ran out of memory at work (RuntimeError: std::bad_alloc)"),
        (BrokenPipeError(32, "Broken pipe"), "broke down at work (BrokenPipeError: [Errno 32] Broken pipe)"),
    ],
)
def test_an_engine_that_breaks_down_is_one_sentence_for_all_who_used_it(
    worker: Worker, error: Exception, words: str
) -> None:
    engine = Engine()
    engine.error = error
    go = busy(worker)
    people = readers(worker, *[(asking(engine, [name]), name) for name in ("ada", "bob")])
    go.set()
    for person in people:
        person.join(SOON)
        assert isinstance(person.error, Crashed)
        assert words in str(person.error) and str(person.error).startswith("Starter describer")
        assert (person.error.key, person.error.backend) == ("starter-describer", engine)
    engine.error = None
    with pytest.raises(Crashed):  # whoever still has this backend is not made to run on its ruins
        list(worker.stream(asking(engine, ["late"])))
    assert list(worker.stream(asking(Engine(), ["a"]))) == ["a"]


def test_a_task_that_is_read_without_a_worker_runs_its_own_calls() -> None:
    engine = Engine()
    items = [item for item in asking(engine, ["ab", "c"], ["d"])(lambda: False) if not isinstance(item, Call)]
    assert items == ["a", "c", "ab", "d"]
    assert engine.runs == [["ab", "c"], ["d"]]
