"""Scripted backends: tests of tasks run the real task over answers that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from mmdemo import catalog
from mmdemo.results import Label, Segment
from mmdemo.runtime.base import Backend, Clip, Heard, Hearing, Seen
from mmdemo.runtime.sources import Progress
from mmdemo.runtime.standing import AUTO, How
from mmdemo.settings import Settings

RATE = 16_000


@dataclass
class ScriptedDescriber:
    """Says its sentences in turn, word by word, whatever it sees."""

    sentences: Sequence[str]
    key: str = "starter-describer"
    calls: list[tuple[int, str, str]] = field(default_factory=list)
    device: str = "cpu"

    @property
    def spec(self) -> catalog.ModelSpec:
        return catalog.get(self.key)

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        start = sum(count for count, _, _ in self.calls)
        self.calls.append((len(images), style, question))
        labels = (Label("dog", 0.7), Label("ball", 0.2), Label("cat", 0.1))
        for index in range(len(images)):
            words = self.sentences[(start + index) % len(self.sentences)].split()
            for count in range(1, len(words) + 1):
                yield Seen(index, " ".join(words[:count]), labels, done=count == len(words))

    def close(self) -> None:
        self.sentences = ()


@dataclass
class ScriptedTalker:
    """Says one answer and keeps what it was told."""

    answer: str
    told: list[str] = field(default_factory=list)
    device: str = "cpu"

    @property
    def spec(self) -> catalog.ModelSpec:
        return catalog.get("smollm2-135m-instruct")

    def talk(self, messages: Sequence[dict[str, str]], *, max_tokens: int) -> Iterator[str]:
        self.told.append(messages[-1]["content"])
        for word in self.answer.split():
            yield word + " "

    def close(self) -> None:
        self.answer = ""


@dataclass
class Parrot:
    """A transcriber that says how long each clip is that is not silent, and keeps what it was asked."""

    calls: list[tuple[list[int], Hearing]] = field(default_factory=list)
    device: str = "cpu"

    @property
    def spec(self) -> catalog.ModelSpec:
        return catalog.get("whisper-base")

    def transcribe(self, clips: Sequence[Clip], hearing: Hearing) -> Iterator[Heard]:
        self.calls.append(([clip.source for clip in clips], hearing))
        for clip in clips:
            if np.abs(clip.samples).max() == 0:
                continue
            seconds = len(clip.samples) / RATE
            said = Segment(clip.start, clip.start + seconds, f"{seconds:.0f} s")
            yield Heard(said, clip.source, hearing.language or "sv", 0.9)

    def close(self) -> None:
        self.calls = []


class ScriptedManager:
    """Hands out the given backends under their keys, as the real manager does with loaded ones."""

    def __init__(self, backends: dict[str, Any], settings: Settings | None = None) -> None:
        self.backends = backends
        self.settings = settings or Settings(home="unused")
        self.asked: list[tuple[str, How]] = []

    def get(
        self,
        key: str,
        cancelled: Callable[[], bool] = lambda: False,
        report: Callable[[Progress], None] = lambda progress: None,
        how: How = AUTO,
    ) -> Backend:
        self.asked.append((key, how))
        report(Progress(f"Loading {key}"))
        return self.backends[key]  # type: ignore[no-any-return]
