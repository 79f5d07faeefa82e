"""Many people, one studio: turns, shared runs, models in use, and engines that break down."""

from __future__ import annotations

import dataclasses
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from mmdemo import catalog
from mmdemo.catalog import Local, ModelSpec
from mmdemo.errors import Crashed, StudioError
from mmdemo.results import Description
from mmdemo.runtime import backends
from mmdemo.runtime.base import Ask, Load, Seen
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio

SOON = 20.0
MEGABYTES = 120


class Eye:
    """Looks at pictures together, word by word. `broken` is raised at work, `unloadable` while it loads."""

    broken: Exception | None = None
    unloadable: Exception | None = None
    loads = 0
    runs: list[int]
    pause = 0.0

    def __init__(self, load: Load) -> None:
        Eye.loads += 1
        time.sleep(Eye.pause)
        self.weights = np.ones(MEGABYTES * 125_000)
        if Eye.unloadable:
            raise Eye.unloadable
        self.spec, self.device = load.spec, "cpu"

    def answer(self, asks: Sequence[Ask]) -> Iterator[Seen]:
        working = self.weights * 2  # what it holds while it works
        Eye.runs.append(len(asks))
        for count in range(1, 6):
            time.sleep(Eye.pause)
            if Eye.broken:
                raise Eye.broken
            for index, ask in enumerate(asks):
                text = f"{ask.question or ask.style} {ask.image.width} " + "x" * count
                yield Seen(index, text, done=count == 5)
        del working

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        return self.answer([Ask(image, style, question, max_words) for image in images])

    def close(self) -> None:
        del self.weights


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    Eye.broken, Eye.unloadable, Eye.loads, Eye.runs, Eye.pause = None, None, 0, [], 0.0
    monkeypatch.setitem(backends.BACKENDS, "eye", "tests.test_serving:Eye")
    for key in ("eye", "other-eye"):
        row(tmp_path, key, monkeypatch)
    made = Studio(Settings(home=str(tmp_path / "home"), device="cpu", offline=True))
    yield made
    made.close()


def row(folder: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    place = folder / "rows" / key
    place.mkdir(parents=True)
    (place / "config.json").write_text("{}")
    (place / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    spec = dataclasses.replace(
        catalog.get("smolvlm2-256m"), key=key, title=key.title(), backend="eye", parts=(),
        sources=(Local(str(place)),), files=(),
    )  # fmt: skip
    monkeypatch.setitem(catalog.MODELS, key, spec)
    monkeypatch.setattr(catalog, "ROWS", (*catalog.ROWS, spec))
    return spec


def pictures(folder: Path, count: int, name: str = "picture") -> list[Path]:
    made = []
    for number in range(count):
        made.append(folder / f"{name}-{number}.png")
        Image.new("RGB", (10 + number, 10)).save(made[-1])
    return made


class Person(threading.Thread):
    """Asks and reads to the end."""

    def __init__(self, studio: Studio, files: Sequence[Path], who: str, **options: Any) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.events: list[Any] = []
        self.error: Exception | None = None
        self.seconds = 0.0
        self._ask = lambda: studio.run("describe", files, {"model": "eye", "read_text": "no"} | options, self.stop, who)
        self.start()

    def run(self) -> None:
        begun = time.monotonic()
        try:
            for event in self._ask():
                self.events.append(event)
        except Exception as error:  # noqa: BLE001  # asserted by the tests
            self.error = error
        self.seconds = time.monotonic() - begun

    @property
    def done(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Description) and event.done]


def all_of(people: Sequence[Person]) -> None:
    for person in people:
        person.join(SOON)
        assert not person.is_alive()
        if person.error:
            raise person.error


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def test_eight_people_are_served_together_twice_as_fast_and_alike(studio: Studio, tmp_path: Path) -> None:
    files = pictures(tmp_path, 8)
    Eye.pause = 0.02
    list(studio.load("eye"))
    begun = time.monotonic()
    for number, file in enumerate(files):
        all_of([Person(studio, [file], str(number), question="how many")])
    one_by_one = time.monotonic() - begun
    begun = time.monotonic()
    people = [Person(studio, [file], str(number), question=f"q{number}") for number, file in enumerate(files)]
    all_of(people)
    together = time.monotonic() - begun
    assert one_by_one / together >= 2
    assert [person.done for person in people] == [[f"q{number} {10 + number} xxxxx"] for number in range(8)]
    waits = sorted(person.seconds for person in people)
    assert waits[-1] <= 3 * waits[4]


def test_one_picture_is_described_while_somebody_has_hundreds_described(studio: Studio, tmp_path: Path) -> None:
    Eye.pause = 0.005
    many = Person(studio, pictures(tmp_path, 200, "many"), "batch", batch=8)
    until(lambda: len(Eye.runs) >= 2)
    one = Person(studio, pictures(tmp_path, 1, "one"), "person")
    one.join(SOON)
    assert one.done == ["sentence 10 xxxxx"] and many.is_alive() and len(many.done) < 100
    all_of([many])
    assert len(many.done) == 200


def test_a_place_in_line_is_told_in_a_sentence(studio: Studio, tmp_path: Path) -> None:
    Eye.pause = 0.2
    first = Person(studio, pictures(tmp_path, 1), "a")
    until(lambda: bool(Eye.runs))
    second = Person(studio, pictures(tmp_path, 1), "b")
    all_of([first, second])
    stages = [event.stage for event in second.events if isinstance(event, Progress)]
    assert stages[0] == "Number 1 in line"
    third, fourth = Person(studio, pictures(tmp_path, 1), "c"), None
    until(lambda: len(Eye.runs) >= 3)
    fourth = Person(studio, pictures(tmp_path, 1), "d")
    all_of([third, fourth])
    stages = [event.stage for event in fourth.events if isinstance(event, Progress)]
    assert stages[0].startswith("Number 1 in line, about ") and stages[0].endswith(" s")


def test_two_requests_for_one_model_load_it_once(studio: Studio, tmp_path: Path) -> None:
    Eye.pause = 0.05
    all_of([Person(studio, pictures(tmp_path, 1), str(number)) for number in range(4)])
    assert Eye.loads == 1


def test_unloading_waits_for_those_who_use_the_model(studio: Studio, tmp_path: Path) -> None:
    Eye.pause = 0.01
    many = Person(studio, pictures(tmp_path, 40), "batch", batch=4)
    until(lambda: len(Eye.runs) >= 2)
    studio.unload("eye")
    assert studio.status().loaded == ()
    all_of([many])
    assert len(many.done) == 40 and Eye.loads == 1


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: an illegal memory access"), MemoryError()])
def test_an_engine_that_breaks_down_at_work_is_unloaded_marked_and_loaded_anew(
    studio: Studio, tmp_path: Path, error: Exception
) -> None:
    gc.collect()
    before = psutil.Process().memory_info().rss
    Eye.broken = error
    broken = Person(studio, pictures(tmp_path, 1), "a")
    broken.join(SOON)
    assert isinstance(broken.error, Crashed) and str(broken.error).startswith("Eye ")
    assert "was unloaded" in str(broken.error)
    assert studio.status().loaded == ()
    assert psutil.Process().memory_info().rss - before < MEGABYTES * 1_000_000 / 2, "weights and what it worked on"
    (marked,) = [row for row in studio.rows() if row.spec.key == "eye"]
    assert marked.problem == str(broken.error)
    assert [row.spec.key for row in Studio(studio.settings).rows() if row.problem] == ["eye"], "another process sees it"
    Eye.broken = None
    again = Person(studio, pictures(tmp_path, 1), "a")
    all_of([again])
    assert again.done and Eye.loads == 2
    assert not any(row.problem for row in studio.rows())


def test_an_engine_that_breaks_down_while_it_loads_is_a_sentence_and_a_mark(studio: Studio, tmp_path: Path) -> None:
    Eye.unloadable = RuntimeError("bad allocation: std::bad_alloc\nstack of a library")
    with pytest.raises(Crashed) as caught:
        list(studio.load("eye"))
    assert str(caught.value) == (
        "Eye ran out of memory while it was loaded (RuntimeError: bad allocation: std::bad_alloc): try again with a "
        "smaller quantization or a smaller model, or close other programs."
    )
    assert [row.problem for row in studio.rows() if row.spec.key == "eye"] == [str(caught.value)]
    Eye.unloadable = None
    all_of([Person(studio, pictures(tmp_path, 1), "a")])
    assert studio.status().loaded == ("eye",)


def test_a_helper_process_that_dies_takes_only_its_engine_with_it(studio: Studio, tmp_path: Path) -> None:
    import multiprocessing

    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=os._exit, args=(9,), daemon=True)
    child.start()
    there.close()
    child.join()
    Eye.broken = None
    try:
        here.recv()
    except EOFError as error:
        Eye.broken = error
    many = Person(studio, pictures(tmp_path, 1), "a")
    many.join(SOON)
    assert "Eye broke down at work (EOFError) and was unloaded" in str(many.error)
    Eye.broken = None
    other = Person(studio, pictures(tmp_path, 1), "b", model="other-eye")
    all_of([other])
    assert other.done


def test_those_who_wait_with_a_broken_model_read_the_same_sentence(studio: Studio, tmp_path: Path) -> None:
    Eye.pause = 0.02
    many = Person(studio, pictures(tmp_path, 60), "batch", batch=8)
    until(lambda: len(Eye.runs) >= 2)
    Eye.broken = RuntimeError("CUDA error: unspecified launch failure")
    one = Person(studio, pictures(tmp_path, 1), "person")
    one.join(SOON)
    many.join(SOON)
    assert isinstance(many.error, StudioError) and "CUDA error" in str(many.error)
    assert studio.status().loaded == ()
