"""The composition root: tasks by name on the worker, models fetched, loaded and freed, and a clean end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmdemo import tasks
from mmdemo.errors import Cancelled, InputError, TooLarge, UnknownName, UnreadableMedia
from mmdemo.options import option
from mmdemo.results import Description, Provenance
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.tasks.base import Entry

SOON = 10.0


@dataclass(frozen=True)
class Options:
    """Of the toy task."""

    times: int = option(1, "Times", minimum=1, maximum=1000)


def run(
    manager: Manager, files: Sequence[Path], options: Options, cancelled: Callable[[], bool]
) -> Iterator[Progress | Description]:
    """Names each file, so many times."""
    yield Progress(f"On {threading.current_thread().name}")
    for _ in range(options.times):
        time.sleep(0.002)
        for file in files:
            if file.suffix == ".bad":
                raise UnreadableMedia(f"{file.name} is no picture.")
            yield Description(file.name, file.stem, Provenance("toy"))
        if cancelled():
            return


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    module = types.ModuleType("toy_task")
    module.Options, module.run = Options, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_task", module)
    monkeypatch.setitem(tasks.TASKS, "toy", Entry("toy_task"))
    made = Studio(Settings(home=str(tmp_path), device="cpu", offline=True))
    yield made
    made.close()


def names(events: Iterator[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Description)]


def test_a_task_runs_on_the_worker_and_streams(studio: Studio) -> None:
    events = list(studio.run("toy", [Path("a.png"), Path("b.png")], {"times": 2}))
    assert events[0] == Progress("On models_0")
    assert names(iter(events)) == ["a", "b", "a", "b"]


def test_options_come_as_a_mapping_or_as_the_tasks_own_class(studio: Studio) -> None:
    assert names(studio.run("toy", [Path("a.png")], Options(times=3))) == ["a"] * 3
    assert names(studio.run("toy", [Path("a.png")])) == ["a"]


@pytest.mark.parametrize(
    ("task", "options", "error"),
    [
        ("paint", {}, UnknownName),
        ("toy", {"time": 1}, UnknownName),
        ("toy", {"times": 0}, InputError),
        ("describe", {"style": "sonnet"}, UnknownName),
    ],
)
def test_wrong_names_and_values_are_refused_before_anything_runs(
    studio: Studio, task: str, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        studio.run(task, [], options)
    assert studio.worker.waiting == 0


def test_more_files_than_the_setting_allows_are_refused_whatever_the_task(tmp_path: Path, studio: Studio) -> None:
    few = Studio(Settings(home=str(tmp_path), device="cpu", offline=True, max_files=2))
    for task in ("toy", "describe", "caption", "transcribe"):
        with pytest.raises(TooLarge, match="3 files are more than the limit of 2 at once: give fewer, or raise"):
            few.run(task, [Path("a.png")] * 3)
    assert names(few.run("toy", [Path("a.png")] * 2)) == ["a", "a"]
    few.close()


def test_a_bad_file_is_raised_and_the_next_request_works(studio: Studio) -> None:
    with pytest.raises(UnreadableMedia, match=r"song\.bad is no picture"):
        list(studio.run("toy", [Path("song.bad")]))
    assert names(studio.run("toy", [Path("a.png")])) == ["a"]


def test_stop_ends_the_work_from_another_thread(studio: Studio) -> None:
    stop = threading.Event()
    events = studio.run("toy", [Path("a.png")], {"times": 1000}, stop)
    next(events)
    stop.set()
    assert len(names(events)) < 1000
    assert names(studio.run("toy", [Path("b.png")])) == ["b"]


def test_two_people_get_their_own_answers(studio: Studio) -> None:
    got: dict[str, list[str]] = {}

    def ask(name: str) -> None:
        got[name] = names(studio.run("toy", [Path(f"{name}.png")], {"times": 20}))

    people = [threading.Thread(target=ask, args=(name,)) for name in ("ada", "bob", "cy")]
    for person in people:
        person.start()
    for person in people:
        person.join(SOON)
    assert got == {name: [name] * 20 for name in ("ada", "bob", "cy")}


def test_rows_and_status_need_no_model(studio: Studio) -> None:
    rows = {row.spec.key: row for row in studio.rows()}
    assert not rows["smolvlm2-256m"].cached
    assert not any(row.loaded for row in rows.values())
    status = studio.status()
    assert status.device.startswith("CPU")
    assert status.offline
    assert status.loaded == ()
    assert 0 < status.memory.used < status.memory.total


def test_a_model_that_cannot_be_had_offline_says_so_and_the_studio_stays_up(studio: Studio) -> None:
    from mmdemo.errors import Unreachable

    for action in (studio.fetch, studio.load):
        with pytest.raises(Unreachable, match="SmolVLM2 256M is not on this machine"):
            list(action("smolvlm2-256m"))
    assert names(studio.run("toy", [Path("a.png")])) == ["a"]


def test_closing_while_something_runs_ends_it(tmp_path: Path, studio: Studio) -> None:
    events = studio.run("toy", [Path("a.png")], {"times": 1000})
    next(events)
    studio.close()
    with pytest.raises(Cancelled, match="closing"):
        list(studio.run("toy", [Path("a.png")]))


@pytest.mark.weights
def test_a_starter_model_is_loaded_shown_and_unloaded(tmp_path: Path) -> None:
    studio = Studio(Settings.load(device="cpu"))
    try:
        stages = [progress.stage for progress in studio.load("all-minilm-l6-v2")]
        assert stages[-1] == "Loading all-MiniLM-L6-v2"
        assert studio.status().loaded == ("all-minilm-l6-v2",)
        (row,) = [row for row in studio.rows() if row.loaded]
        assert (row.spec.key, row.device, row.cached) == ("all-minilm-l6-v2", "cpu", True)
        assert row.disk >= row.spec.bytes
        studio.unload("all-minilm-l6-v2")
        assert studio.status().loaded == ()
    finally:
        studio.close()


GRADIO = """
import sys, threading, time
import gradio as gr
from gradio_client import Client
from mmdemo.runtime.worker import Worker

worker, begun, stop = Worker(), threading.Event(), threading.Event()

def loading(cancelled):          # a model that takes a second to load, then has three seconds of words
    begun.set()
    time.sleep(1)
    for word in range(60):
        if cancelled():
            return
        yield str(word)
        time.sleep(0.05)

def quick(cancelled):
    yield "done"

def handler(slow):
    yield from worker.stream(loading, stop) if slow else worker.stream(quick)

with gr.Blocks(analytics_enabled=False) as page:
    slow, out, button, halt = gr.Checkbox(), gr.Textbox(), gr.Button(), gr.Button()
    button.click(handler, slow, out, api_name="go")
    halt.click(stop.set, api_name="stop")
_, address, _ = page.queue().launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
client = Client(address, verbose=False)
job = client.submit(True, api_name="/go")
assert begun.wait(30)
time.sleep(0.2)
client.predict(api_name="/stop")  # before the first word
job.cancel()                      # Gradio never resumes the handler after this
until = time.monotonic() + 2.5
while worker.waiting and time.monotonic() < until:
    time.sleep(0.02)
assert not worker.waiting, "the work went on for nobody"
print(client.submit(False, api_name="/go").result(timeout=30))
worker.close()
page.close(verbose=False)
"""


def test_a_page_that_is_stopped_while_a_model_loads_frees_the_worker(tmp_path: Path) -> None:
    root = Path(tasks.__file__).parents[2]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": str(root), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", GRADIO], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "done"
