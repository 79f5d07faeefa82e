"""Sound to segments: blocks are cut into clips, clips gathered into batches, and batches heard.

Transcribing and captioning share it. It is all one stream, so that memory does not depend on a recording's length; a
step of it that read on without finding anything says so, so that a caller can show how far it is and stop in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mmdemo.runtime.asking import hear
from mmdemo.runtime.base import Backend, Clip, Heard, Hearing, Transcriber
from mmdemo.runtime.calls import Call
from mmdemo.tasks.base import Cancelled, go_on, unable

if TYPE_CHECKING:
    from mmdemo.media.audio import Block

FIRST = 2
"""Clips of the first batch: few, so that the first words come soon."""
SURE = 0.5
"""Probability from which the language of a file is settled."""
NO_SPEECH = "No speech was found."


def transcriber(backend: Backend) -> Transcriber:
    """`backend`, if it hears.

    Raises:
        Unsupported: it does not.
    """
    if not isinstance(backend, Transcriber):
        raise unable("transcribe", backend.spec)
    return backend


def listen(
    backend: Transcriber,
    blocks: Iterable[Block],
    hearing: Hearing,
    *,
    voice_only: bool,
    batch: int,
    cancelled: Cancelled,
) -> Iterator[Heard | Call[None, Heard] | None]:
    """Everything heard in one recording, in order, while it is read; None where more was read and nothing heard yet.

    Between them come the calls of the engine, for the task to yield.

    Raises:
        Cancelled: `cancelled()` was true; it is asked for every block and every segment.
    """
    ear = Ear(backend, hearing)
    cut = clips(blocks, voice_only=voice_only, longest=longest(backend), cancelled=cancelled)
    for gathered in batches(cut, batch):
        if not gathered:
            yield None
        for heard in ear.hear(gathered):
            if not isinstance(heard, Call):
                go_on(cancelled)
            yield heard


def longest(backend: object) -> float:
    """Seconds of the longest clip a backend wants; 30 unless it says so itself (`backend.longest`)."""
    return float(getattr(backend, "longest", 30.0))


def clips(blocks: Iterable[Block], *, voice_only: bool, longest: float, cancelled: Cancelled) -> Iterator[Clip | None]:
    """The clips of one recording; None after a block in which none ended.

    Raises:
        Cancelled: `cancelled()` was true.
    """
    from mmdemo.runtime.vad import Cutter

    cutter = Cutter(voice_only=voice_only, longest=longest)
    for block in blocks:
        go_on(cancelled)
        some = False
        for clip in cutter.feed(block):
            some = True
            yield clip
        if not some:
            yield None
    yield from cutter.finish()


def batches(clips: Iterable[Clip | None], size: int) -> Iterator[list[Clip]]:
    """Clips gathered for one call of the model each: few at first, then `size`. An empty list for each None."""
    gathered: list[Clip] = []
    wanted = min(FIRST, size)
    for clip in clips:
        if clip is None:
            yield []
            continue
        gathered.append(clip)
        if len(gathered) == wanted:
            yield gathered
            gathered, wanted = [], size
    if gathered:
        yield gathered


class Ear:
    """A backend that remembers which language each file is in: the first sure answer holds to the file's end."""

    def __init__(self, backend: Transcriber, hearing: Hearing) -> None:
        self._backend = backend
        self._hearing = hearing
        self._languages: dict[int, tuple[str, float]] = {}

    def hear(self, clips: Sequence[Clip]) -> Iterator[Heard | Call[None, Heard]]:
        """Segments of `clips`, which may come from several files, in their order, and the calls that find them."""
        known = [self._languages.get(clip.source, ("", 0.0))[0] for clip in clips]
        begin = 0
        for end in range(1, len(clips) + 1):
            if end < len(clips) and known[end] == known[begin]:
                continue
            yield from self._together(clips[begin:end], known[begin])
            begin = end

    def _together(self, clips: Sequence[Clip], language: str) -> Iterator[Heard | Call[None, Heard]]:
        told = replace(self._hearing, language=language) if language else self._hearing
        for step in hear(self._backend, clips, told).steps():
            if isinstance(step, Call):
                yield step
                continue
            _, heard = step
            if language:
                heard = replace(heard, language_probability=self._languages[heard.source][1])
            elif not self._hearing.language and heard.language and heard.language_probability >= SURE:
                self._languages.setdefault(heard.source, (heard.language, heard.language_probability))
            yield heard
