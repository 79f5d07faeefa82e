"""Eight people ask about pictures at the same time, and one after the other: the same questions, the starter set.

Every person has a picture of their own, which was described before, as it is when somebody drops it into the page. Both
ways take turns, so that what else the machine does falls on both; each round asks something new. Also: one question
while somebody else has a thousand pictures described.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.table import Row, at_least, at_most
from mmdemo.results import Description
from mmdemo.settings import Settings
from mmdemo.studio import Studio

ROOT = Path(__file__).parents[1]
PEOPLE = 8
ROUNDS = 5
MANY = 1000
QUESTIONS = (
    "What is the animal doing?", "Where was this taken?", "What is the weather like?", "How many things are there?",
    "What could happen next?", "Which colour is the largest thing?", "Is anybody there?", "What is on the left?",
)  # fmt: skip


def run(rounds: int = ROUNDS, people: int = PEOPLE, many: int = MANY) -> list[Row]:
    """Questions a second together and one after the other; the longest wait; a question beside a batch."""
    studio = Studio(Settings.load())
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(Path(folder), people)
        answer(studio, files, {})
        together: list[float] = []
        alone: list[float] = []
        waits: list[float] = []
        for number in range(rounds + 1):
            asked = [QUESTIONS[(person + number) % len(QUESTIONS)] for person in range(people)]
            begun = time.perf_counter()
            for file, question in zip(files, asked, strict=True):
                answer(studio, [file], {"question": f"{question} ({2 * number})"})
            one_by_one = time.perf_counter() - begun
            begun = time.perf_counter()
            seconds = at_once(studio, files, [f"{question} ({2 * number + 1})" for question in asked])
            if number:  # the first round warms up
                together.append(people / (time.perf_counter() - begun))
                alone.append(people / one_by_one)
                waits.append(max(seconds) / statistics.median(seconds))
        beside = beside_many(studio, files, pictures(Path(folder), many, "many"))
    studio.close()
    fast, slow = statistics.median(together), statistics.median(alone)
    wait = statistics.median(waits)
    return [
        at_least(f"{people} people ask at once", f"{fast:.2f} /s", f"{slow:.2f} /s, one by one", fast / slow, 2),
        at_most("longest wait among them", f"{wait:.2f} × the median", "–", wait, 3),
        Row(f"a question while {many:,} pictures are described", f"{beside:.1f} s", "–", None, "–", None),
    ]


def pictures(folder: Path, count: int, name: str = "own") -> list[Path]:
    """Pictures that are all different, made of the samples."""
    samples = [Image.open(path).convert("RGB") for path in sorted((ROOT / "assets" / "samples").glob("*.jpg"))]
    made = []
    for number in range(count):
        sample = samples[number % len(samples)]
        made.append(folder / f"{name}-{number}.jpg")
        sample.rotate(7 * (number // len(samples)) % 360).resize((448, 336)).save(made[-1])
    return made


def answer(studio: Studio, files: Sequence[Path], options: dict[str, str]) -> float:
    """Seconds until everything is said."""
    begun = time.perf_counter()
    said = [event for event in studio.run("describe", files, options) if isinstance(event, Description) and event.done]
    assert len(said) == len(files) and not any(one.error for one in said)
    return time.perf_counter() - begun


def at_once(studio: Studio, files: Sequence[Path], questions: Sequence[str]) -> list[float]:
    """Seconds that each person waits for their answer."""
    seconds = [0.0] * len(files)

    def ask(number: int) -> None:
        seconds[number] = answer(studio, [files[number]], {"question": questions[number]})

    people = [threading.Thread(target=ask, args=(number,)) for number in range(len(files))]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return seconds


def beside_many(studio: Studio, files: Sequence[Path], many: Sequence[Path]) -> float:
    """Seconds of a question while a long request runs, which is stopped then."""
    stop, begun = threading.Event(), threading.Event()

    def read() -> None:
        for event in studio.run("describe", many, {"read_text": "no"}, stop, "batch"):
            if isinstance(event, Description):
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait()
    seconds = answer(studio, files[:1], {"question": "What is this, in one word?"})
    stop.set()
    reader.join()
    return seconds
