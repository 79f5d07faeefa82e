"""What tasks ask of engines, as calls: to look at pictures, to answer, to listen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TypeVar

from mmdemo.errors import Unsupported
from mmdemo.runtime.base import (
    Answerer,
    Ask,
    Clip,
    Converser,
    Describer,
    Heard,
    Hearing,
    Seen,
    Speaker,
    Spoken,
    Talk,
    Talker,
    Transcriber,
)
from mmdemo.runtime.calls import Call
from mmdemo.runtime.scenes import Scene, Watcher

T = TypeVar("T")


def look(backend: Describer, asks: Sequence[Ask]) -> Call[Ask, Seen]:
    """Look at pictures. All asks have the same style, question and length; those of others that join need not."""
    if isinstance(backend, Answerer):
        answers = backend

        def each(asks: Sequence[Ask]) -> Generator[tuple[int, Seen], None, None]:
            for seen in answers.answer(asks):
                yield seen.index, seen

        return Call(backend, asks, each, ("look", id(backend), asks[0].adapter))

    def together(asks: Sequence[Ask]) -> Generator[tuple[int, Seen], None, None]:
        first = asks[0]
        images = [ask.image for ask in asks]
        for seen in backend.describe(images, style=first.style, question=first.question, max_words=first.max_words):
            yield seen.index, seen

    return Call(backend, asks, together)


def watch(backend: Watcher, scenes: Sequence[Scene], max_words: int) -> Call[Scene, Seen]:
    """Look at scenes of a video and listen to them."""

    def each(scenes: Sequence[Scene]) -> Generator[tuple[int, Seen], None, None]:
        for seen in backend.watch(scenes, max_words=max_words):
            yield seen.index, seen

    return Call(backend, scenes, each)


def say(backend: Talker, talks: Sequence[Talk]) -> Call[Talk, str]:
    """Answer; what comes are pieces of the answers."""
    if isinstance(backend, Converser):
        return Call(backend, talks, backend.converse, ("say", id(backend), talks[0].adapter))

    def in_turn(talks: Sequence[Talk]) -> Generator[tuple[int, str], None, None]:
        for place, talk in enumerate(talks):
            for piece in backend.talk(talk.messages, max_tokens=talk.max_tokens):
                yield place, piece

    return Call(backend, talks, in_turn)


def hear(backend: Transcriber, clips: Sequence[Clip], hearing: Hearing) -> Call[None, Heard]:
    """Transcribe clips."""
    return use(backend, lambda: backend.transcribe(clips, hearing))


def utter(
    backend: Speaker, sentences: Sequence[tuple[str, int]], *, speed: float, voice: int
) -> Call[tuple[str, int], Spoken | Unsupported]:
    """Speak sentences, each with its seed; what the model cannot say comes as its reason."""

    def one_by_one(
        sentences: Sequence[tuple[str, int]],
    ) -> Generator[tuple[int, Spoken | Unsupported], None, None]:
        for place, (text, seed) in enumerate(sentences):
            try:
                yield place, backend.speak(text, speed=speed, voice=voice, seed=seed)
            except Unsupported as reason:
                yield place, reason

    return Call(backend, sentences, one_by_one)


def use(backend: object, produce: Callable[[], Iterable[T]]) -> Call[None, T]:
    """Anything else that an engine gives bit by bit: it runs alone, and the places of what comes say nothing."""

    def alone(asks: Sequence[None]) -> Generator[tuple[int, T], None, None]:
        for value in produce():
            yield 0, value

    return Call(backend, (None,), alone)
