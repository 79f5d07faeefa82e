"""A scripted studio: the page's own behaviour is tested without any model.

Run as a program, this file serves the page over such a studio, in a process of its own: Gradio leaves sockets and
event loops open where it is only used for a while.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmdemo import catalog
from mmdemo.errors import Unreachable, UnreadableMedia
from mmdemo.jobs import Jobs
from mmdemo.results import Description, Label, Provenance, Segment, Track, Transcript, Word
from mmdemo.runtime.memory import Memory
from mmdemo.runtime.sources.base import Progress
from mmdemo.runtime.sources.hub_find import Found, Wanted
from mmdemo.runtime.standing import Row, Status
from mmdemo.runtime.worker import Worker
from mmdemo.settings import Settings

FOUND = (
    Found("hub:a/tiny-eyes", "a/tiny-eyes", "describe", "mit", 12_345, 7, False, 256_000_000, 512_000_000),
    Found("hub:b/big-talk", "b/big-talk", "talk", "", 50, 0, True, 0, 0),
)
FROM = Provenance("starter-describer", "cpu", 0.4, ("Seen from the cache.",))


class ScriptedStudio:
    """Answers like a studio, from a script. `pause` is how long each step takes."""

    def __init__(self, home: Path, pause: float = 0.0) -> None:
        self.settings = Settings(home=str(home))
        self.worker = Worker("scripted")
        self.jobs = Jobs(self.settings)
        self.pause = pause
        self.asked: list[tuple[str, list[Path], Any]] = []
        self.loaded = {"starter-describer"}
        self.own: dict[str, Row] = {}
        self.wanted: list[Wanted] = []
        self.drawn: Callable[[Any], Any] = lambda options: options
        self.script: dict[str, Callable[[Sequence[Path], Any], Iterator[Any]]] = {
            "describe": describe,
            "caption": caption,
            "transcribe": transcribe,
        }

    def run(
        self, task: str, files: Sequence[Path], options: Any = None, stop: threading.Event | None = None, who: str = ""
    ) -> Iterator[Any]:
        self.asked.append((task, list(files), options))

        def work(cancelled: Callable[[], bool]) -> Iterator[Any]:
            for event in self.script[task](files, options or {}):
                if cancelled():
                    return
                yield event
                time.sleep(self.pause)

        return self.worker.stream(work, stop)

    def rows(self) -> list[Row]:
        return [
            Row(spec, cached=spec.starter, loaded=spec.key in self.loaded, disk=spec.bytes, device="cpu")
            for spec in catalog.ROWS
        ] + list(self.own.values())

    def search(self, wanted: Wanted, stop: threading.Event | None = None) -> Iterator[Progress | list[Found]]:
        self.wanted.append(wanted)
        yield Progress("Searching the Hub")
        if wanted.words == "broken":
            raise Unreachable("The Hub could not be searched (the Hub is out of order (status 500): try again later).")
        yield [one for one in FOUND if wanted.words in one.key]

    def status(self) -> Status:
        specs = tuple(catalog.get(key) for key in sorted(self.loaded))
        memory = Memory(10**9, 4 * 10**9, 6 * 10**9, 8 * 10**9)
        return Status("CPU, 2 cores", memory, tuple(spec.key for spec in specs), False, specs)

    def fetch(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        catalog.get(key)
        yield Progress("Fetching it", 10**7, 2 * 10**7)

    def load(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        yield Progress(f"Loading {catalog.get(key).title}")
        self.loaded.add(key)

    def unloading(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress]:
        def work(cancelled: Callable[[], bool]) -> Iterator[Progress]:
            yield Progress(f"Unloading {catalog.get(key).title}")
            self.loaded.discard(key)

        return self.worker.stream(work, stop)

    def removing(self, key: str, stop: threading.Event | None = None) -> Iterator[Progress | int]:
        def work(cancelled: Callable[[], bool]) -> Iterator[Progress | int]:
            yield Progress(f"Removing {catalog.get(key).title}")
            yield catalog.get(key).bytes

        return self.worker.stream(work, stop)

    def chain(self, options: Any, stop: threading.Event | None = None) -> Iterator[Any]:
        yield self.drawn(options)

    def compose(self, options: Any, stop: threading.Event | None = None, name: str = "") -> Iterator[Any]:
        yield Progress("Composing")
        folder = self.settings.chains_folder.resolve() / (name or "chain")
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "mmdemo_fusion"}')
        spec = replace(catalog.get("starter-describer"), key=f"folder:{folder}", title=folder.name)
        self.own[folder.name] = Row(spec, True, False, spec.bytes)
        yield spec

    def close(self) -> None:
        self.worker.close()


def value(options: Mapping[str, Any] | Any, name: str) -> Any:
    return options.get(name, "") if isinstance(options, Mapping) else getattr(options, name)


def describe(files: Sequence[Path], options: Any) -> Iterator[Any]:
    yield Progress("Loading Starter describer")
    for file in files:
        if file.suffix == ".txt":
            problem = f"{file.name} is text, not a picture: choose a JPEG or PNG."
            if len(files) == 1:
                raise UnreadableMedia(problem)
            yield Description(str(file), "", FROM, error=problem)
            continue
        sentence = "a brown dog runs through the grass"
        for end in range(6, len(sentence), 6):
            yield Description(str(file), sentence[:end], FROM, done=False)
        question = value(options, "question")
        yield Description(
            str(file),
            f"Yes, about {sentence}" if question else sentence,
            FROM,
            labels=(Label("golden retriever", 0.62), Label("tennis ball", 0.2)),
            text_read=("KEEP OFF", "<b>THE GRASS</b>"),
            question=question,
            prompt=f"A picture shows: {sentence}\n\n{question}" if question else "",
        )


SEGMENTS = (
    Segment(0.0, 2.5, "a white rabbit on a table", "scene"),
    Segment(0.4, 2.2, "in being", "speech", (Word(0.4, 0.9, " in", 0.9), Word(1.0, 2.2, " being", 0.8))),
    Segment(2.5, 8.0, "two men walk along a street", "scene"),
)  # fmt: skip


def caption(files: Sequence[Path], options: Any) -> Iterator[Any]:
    yield Progress("Loading Whisper base")
    for end in range(1, 4):
        yield Track(str(files[0]), SEGMENTS[:end], FROM, "en", 9.0, end / 3, done=end == 3)


def transcribe(files: Sequence[Path], options: Any) -> Iterator[Any]:
    yield Progress("Loading Whisper base")
    for file in files:
        for end in range(1, 4):
            heard = tuple(Segment(s.start, s.end, s.text, "speech", s.words) for s in SEGMENTS[:end])
            yield Transcript(str(file), heard, FROM, "en", 0.97, 9.0, end / 3, done=end == 3)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[ScriptedStudio]:
    made = ScriptedStudio(tmp_path)
    yield made
    made.close()


def serve() -> None:
    """Serve the page until this process is ended; print where."""
    from mmdemo import ui

    with tempfile.TemporaryDirectory() as home:
        studio = ScriptedStudio(Path(home))
        page = ui.build(studio)  # type: ignore[arg-type]
        _, address, _ = page.launch(
            server_name="127.0.0.1", prevent_thread_lock=True, **ui.launch_options(studio.settings)
        )
        print(address, flush=True)
        threading.Event().wait()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the page over a scripted studio is served."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, __file__], cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


if __name__ == "__main__":
    serve()
