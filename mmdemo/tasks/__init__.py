"""What a user asks for: one file each, with a frozen options dataclass and a generator `run`."""

from __future__ import annotations

from mmdemo.errors import UnknownName
from mmdemo.tasks.base import Entry

TASKS: dict[str, Entry] = {
    "describe": Entry("mmdemo.tasks.describe", "Describe pictures in words."),
    "caption": Entry("mmdemo.tasks.caption", "Caption videos: what is seen and what is said, with times."),
    "transcribe": Entry("mmdemo.tasks.transcribe", "Write down what is said in recordings or videos, with times."),
    "why": Entry("mmdemo.tasks.why", "Say word by word why a model said what it said, and what it was given."),
    "align": Entry("mmdemo.tasks.align", "Say how near files and texts are in the space of two towers."),
    "classify": Entry("mmdemo.tasks.classify", "Name the class of texts, pictures or recordings.", takes="either"),
    "speak": Entry("mmdemo.tasks.speak", "Read a text aloud.", takes="text"),
}


def get(name: str) -> Entry:
    """The task called `name`.

    Raises:
        UnknownName: with the tasks there are.
    """
    if name not in TASKS:
        raise UnknownName("task", name, TASKS)
    return TASKS[name]
