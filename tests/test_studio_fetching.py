"""Fetching beside the requests, and what waits for its turn: nobody waits for somebody else's download."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mmdemo import catalog, tasks
from mmdemo.errors import Cancelled, Unreachable, Unsupported
from mmdemo.options import build, option
from mmdemo.results import Description, Provenance
from mmdemo.runtime import backends, sources
from mmdemo.runtime.base import Load
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress, hub
from mmdemo.runtime.sources.base import Fetch
from mmdemo.settings import Settings
from mmdemo.specs import Hub, ModelFile
from mmdemo.studio import Studio, checkpoints
from mmdemo.tasks.base import Entry

SOON = 10.0


@dataclass(frozen=True)
class Options:
    """Of the toy task."""

    model: str = option("", "Model")

    def checkpoints(self) -> tuple[str, ...]:
        """What the toy task will use."""
        return (self.model,) if self.model else ()


def run(
    manager: Manager, files: Sequence[Path], options: Options, cancelled: Callable[[], bool]
) -> Iterator[Progress | Description]:
    """Loads its model, if it has one, and names each file."""
    name = manager.get(options.model, cancelled).spec.title if options.model else "toy"
    for file in files:
        yield Description(file.name, file.stem, Provenance(name))


class Toy:
    """An engine that loads nothing."""

    def __init__(self, request: Load) -> None:
        self.spec, self.device = request.spec, "cpu"

    def close(self) -> None:
        """Nothing to free."""


class Line:
    """A slow line to the Hub: files arrive once somebody lets them through."""

    def __init__(self) -> None:
        self.through, self.asked = threading.Event(), threading.Event()

    def obtain(self, source: Hub, job: Fetch, staging: Path) -> dict[str, ModelFile]:
        """As `hub.obtain`, with a file of ten bytes."""
        job.report(Progress(f"Fetching {job.spec.title}", 1, 8))
        self.asked.set()
        while not self.through.wait(0.01):
            if job.cancelled():
                raise Cancelled("Fetching was stopped.")
        (job.folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
        return {"model.safetensors": ModelFile("model.safetensors", "0" * 64, 10)}


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line()
    monkeypatch.setattr(hub, "obtain", made.obtain)
    module = types.ModuleType("toy_parts")
    module.Options, module.run, module.Toy = Options, run, Toy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_parts", module)
    monkeypatch.setitem(tasks.TASKS, "toy", Entry("toy_parts"))
    monkeypatch.setitem(backends.BACKENDS, "toy", "toy_parts:Toy")
    for key, parts in (("far", ("further",)), ("further", ())):
        row = replace(
            catalog.get("smolvlm2-256m"), key=key, title=key.title(), backend="toy", parts=parts,
            sources=(Hub(f"nobody/{key}"),), files=(),
        )  # fmt: skip
        monkeypatch.setitem(catalog.MODELS, key, row)
    return made


@pytest.fixture
def studio(tmp_path: Path, line: Line) -> Iterator[Studio]:
    made = Studio(Settings(home=str(tmp_path), device="cpu"))
    yield made
    line.through.set()
    made.close()


def answers(studio: Studio, model: str = "") -> list[str]:
    events = studio.run("toy", [Path("a.png")], {"model": model})
    return [event.provenance.model for event in events if isinstance(event, Description)]


@pytest.mark.parametrize("how", ["fetch", "load"])
def test_requests_are_answered_while_a_checkpoint_arrives(studio: Studio, line: Line, how: str) -> None:
    arriving = getattr(studio, how)("further")
    assert next(arriving) == Progress("Fetching Further", 1, 8)
    assert answers(studio) == ["toy"]
    assert studio.worker.waiting == 0
    line.through.set()
    list(arriving)
    assert (sources.cached(catalog.get("further"), studio.settings) or Path()).name == "further"
    assert studio.status().loaded == (("further",) if how == "load" else ())


def test_a_task_waits_for_its_own_checkpoints_alone(studio: Studio, line: Line) -> None:
    events = studio.run("toy", [Path("a.png")], {"model": "far"})
    assert next(events) == Progress("Fetching Far", 1, 8)
    assert answers(studio) == ["toy"], "others go on"
    line.through.set()
    rest = list(events)
    assert rest[0] == Progress("Fetching Further", 1, 8), "its parts are fetched too"
    assert rest[-1] == Description("a.png", "a", Provenance("Far"))
    assert answers(studio, "far") == ["Far"], "and the next time nothing is fetched"


def test_stopping_a_fetch_ends_it_and_the_task_that_waits_for_it(studio: Studio, line: Line) -> None:
    for begin in (
        lambda stop: studio.fetch("further", stop),
        lambda stop: studio.load("further", stop),
        lambda stop: studio.run("toy", [Path("a.png")], {"model": "far"}, stop),
    ):
        stop = threading.Event()
        events = begin(stop)
        next(events)
        stop.set()
        with pytest.raises(Cancelled):
            list(events)
    assert studio.status().loaded == ()


def test_closing_the_studio_ends_what_is_being_fetched(studio: Studio, line: Line) -> None:
    ended: list[str] = []

    def read() -> None:
        with pytest.raises(Cancelled) as caught:
            list(studio.fetch("further"))
        ended.append(str(caught.value))

    reader = threading.Thread(target=read)
    reader.start()
    assert line.asked.wait(SOON)
    studio.close()
    reader.join(SOON)
    assert ended == ["Fetching was stopped."]


def test_many_fetches_do_not_keep_a_cached_checkpoint_from_being_used(studio: Studio, line: Line) -> None:
    line.through.set()
    list(studio.fetch("further"))
    line.through.clear()
    readers = []
    for number in range(6):
        row = replace(catalog.get("further"), key=f"far-{number}", sources=(Hub("nobody/far"),))
        catalog.MODELS[row.key] = row
        readers.append(threading.Thread(target=lambda key=row.key: list(studio.fetch(key))))
    try:
        for reader in readers:
            reader.start()
        assert answers(studio, "further") == ["Further"]
    finally:
        line.through.set()
        for reader in readers:
            reader.join(SOON)
        for number in range(6):
            del catalog.MODELS[f"far-{number}"]


def test_unloading_and_removing_wait_for_their_turn_and_can_be_given_up(studio: Studio, line: Line) -> None:
    line.through.set()
    list(studio.load("further"))
    go, begun = threading.Event(), threading.Event()

    def busy(cancelled: Callable[[], bool]) -> Iterator[str]:
        begun.set()
        go.wait(SOON)
        yield "done"

    working = threading.Thread(target=lambda: list(studio.worker.stream(busy)))
    working.start()
    assert begun.wait(SOON)
    stop, seen = threading.Event(), []
    given_up = threading.Thread(target=lambda: seen.extend(studio.removing("further", stop)))
    given_up.start()
    removed = threading.Thread(target=lambda: seen.extend(studio.unloading("further")))
    removed.start()
    stop.set()
    assert studio.status().loaded == ("further",) and seen == []
    go.set()
    for thread in (working, given_up, removed):
        thread.join(SOON)
    assert seen == [Progress("Unloading Further")]
    assert studio.status().loaded == ()
    (progress, freed) = studio.removing("further")
    assert progress == Progress("Removing Further")
    assert isinstance(freed, int) and freed >= 8
    assert sources.cached(catalog.get("further"), studio.settings) is None


def test_offline_a_task_says_what_it_lacks_before_it_takes_its_turn(tmp_path: Path, line: Line) -> None:
    studio = Studio(Settings(home=str(tmp_path), device="cpu", offline=True))
    try:
        with pytest.raises(Unreachable, match="Far is not on this machine"):
            answers(studio, "far")
        assert not line.asked.is_set()
    finally:
        studio.close()


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        ("describe", {}, ("starter-describer",)),
        ("describe", {"question": "What is this?"}, ("starter-describer", "smollm2-135m-instruct")),
        ("transcribe", {"model": "whisper-tiny.en"}, ("whisper-tiny.en",)),
        ("caption", {}, ("starter-describer", "whisper-base")),
        ("caption", {"scenes": False}, ("whisper-base",)),
        ("caption", {"speech": False}, ("starter-describer",)),
    ],
)
def test_every_task_says_which_checkpoints_it_will_use(task: str, options: dict[str, object], expected: object) -> None:
    assert checkpoints(build(tasks.get(task).options, options)) == expected


def test_a_model_that_cannot_do_the_task_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    studio = Studio(Settings(home=tmp_path, offline=True))
    with pytest.raises(Unsupported, match="does not transcribe"):
        studio.run("transcribe", [tmp_path / "a.wav"], {"model": "starter-describer"})
    studio.close()
