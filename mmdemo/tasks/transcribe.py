"""Transcribe recordings: time-coded segments as they are heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmdemo.errors import InputError
from mmdemo.options import option
from mmdemo.results import Provenance, Segment, Transcript
from mmdemo.runtime.base import Clip, Heard, Hearing
from mmdemo.runtime.calls import Call
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import Cancelled, Stopwatch, device_option, go_on, loading, quantization_option, require
from mmdemo.tasks.listening import NO_SPEECH, Ear, batches, clips, longest, transcriber

if TYPE_CHECKING:
    from mmdemo.media.audio import Block
    from mmdemo.runtime.lease import Models
    from mmdemo.tasks.base import Step


@dataclass(frozen=True)
class Options:
    """How to listen."""

    model: str = option("whisper-base", "Model", "Which model listens.", advanced=False, task="transcribe")
    language: str = option(
        "", "Language", "Spoken language as a two-letter code; empty: detected.", advanced=False, language=True
    )
    words: bool = option(False, "Word times", "Find when each word is said; a little slower.")
    translate: bool = option(False, "Translate", "Write English, whatever is spoken.")
    voice_only: bool = option(True, "Voice only", "Skip silence and noise, so that nothing is invented there.")
    beams: int = option(
        5, "Beams", "Wider search: a little better, slower. 1 is greedy.", minimum=1, maximum=10, step=1
    )
    prompt: str = option("", "Names and terms", "Words to expect, spelled as you want them.")
    quantization: str = quantization_option()
    device: str = device_option()
    batch: int = option(8, "Batch", "Stretches of speech transcribed at once.", minimum=1, maximum=64, step=1)

    def checkpoints(self) -> tuple[str, ...]:
        """Key of the model that these options use, which can transcribe.

        Raises:
            UnknownName, Unsupported: there is no such model, or it cannot.
        """
        return (require("transcribe", self.model).key,)


def hearing(options: Options, left: Callable[[], bool]) -> Hearing:
    """What the backend is told."""
    return Hearing(
        language=options.language,
        translate=options.translate,
        words=options.words,
        beams=options.beams,
        prompt=options.prompt,
        left=left,
    )


@dataclass
class _File:
    """What is known of a file while it is transcribed. Times in seconds."""

    path: Path
    segments: list[Segment] = field(default_factory=list)
    language: str = ""
    probability: float = 0.0
    length: float = 0.0
    """As the header says; 0 if it does not."""
    position: float = 0.0
    """How far it has been read."""
    block: float = 0.0
    """Where the block begins that was read last: a stretch of speech in it may still be open."""
    waiting: deque[float] = field(default_factory=deque)
    """Where its clips begin that are still to be heard."""
    is_read: bool = False
    error: str = ""
    told: tuple[int, float] = (0, 0.0)
    """Segments and progress of the last transcript that was given out."""

    @property
    def is_done(self) -> bool:
        """Whether everything in it has been heard."""
        return self.is_read and not self.waiting

    @property
    def seconds(self) -> float:
        """See `results.Transcript.seconds`."""
        return self.position if self.is_read else max(self.position, self.length)

    @property
    def progress(self) -> float:
        """See `results.Transcript.progress`."""
        if self.is_done:
            return 1.0
        heard = self.waiting[0] if self.waiting else self.block
        # Never back: a stretch may turn out to have begun in a block before.
        return max(self.told[1], heard / self.seconds) if self.length else 0.0

    def take(self, heard: Heard) -> None:
        """Add a segment."""
        self.segments.append(heard.segment)
        if heard.language_probability >= self.probability:
            self.language, self.probability = heard.language, heard.language_probability

    def measured(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """`blocks`, with how far they lead kept as they pass."""
        from mmdemo.media.audio import RATE

        for block in blocks:
            self.block, self.position = block.start, block.start + len(block.samples) / RATE
            yield block

    def has_grown(self) -> bool:
        """Whether there is more to tell than when this was asked last."""
        before, self.told = self.told, (len(self.segments), self.progress)
        return self.told != before


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Callable[[], bool]) -> Iterator[Step]:
    """Transcribe recordings, or the sound of videos.

    Stretches of speech of several files are transcribed together; the results come file by file, in order. A file
    that cannot be read becomes a `Transcript` with an `error` if there are others, and raises if it is the only one.

    Yields:
        `Progress` while the model is fetched or loaded, then for each file transcripts that grow, the last `done`.

    Raises:
        UnknownName, Unsupported, WeightsError, DoesNotFit, Cancelled, and InputError for a single file.
    """
    options.checkpoints()
    loaded = yield from loading(models, options.model, cancelled, How(options.quantization, options.device))
    backend = transcriber(loaded)
    states = [_File(Path(path)) for path in files]
    ear = Ear(backend, hearing(options, cancelled))
    watch = Stopwatch()
    current = 0

    def transcript(place: int) -> Transcript:
        state = states[place]
        notes = (NO_SPEECH,) if state.is_done and not state.segments and not state.error else ()
        return Transcript(
            str(state.path),
            tuple(state.segments),
            Provenance(options.model, loaded.device, watch.seconds(place), notes),
            state.language,
            state.probability,
            state.seconds,
            state.progress,
            state.is_done,
            state.error,
        )

    for gathered in batches(_clips(models, states, options, longest(backend), watch, cancelled), options.batch):
        for heard in ear.hear(gathered):
            if isinstance(heard, Call):
                watch.share(_lengths(gathered))
                yield heard
                watch.skip(heard.began)
                continue
            go_on(cancelled)
            states[heard.source].take(heard)
        watch.share(_lengths(gathered))
        for clip in gathered:
            states[clip.source].waiting.popleft()
        while states[current].is_done and current < len(states) - 1:  # the last file ends below
            yield transcript(current)
            current += 1
        if not states[current].is_done and states[current].has_grown():
            yield transcript(current)
    for place in range(current, len(states)):
        yield transcript(place)


def _lengths(clips: Sequence[Clip]) -> dict[int, float]:
    """Samples of each file in a batch."""
    lengths: dict[int, float] = {}
    for clip in clips:
        lengths[clip.source] = lengths.get(clip.source, 0.0) + len(clip.samples)
    return lengths


def _clips(
    models: Models,
    states: Sequence[_File],
    options: Options,
    most: float,
    watch: Stopwatch,
    cancelled: Cancelled,
) -> Iterator[Clip | None]:
    """Clips of all files, one after the other; what cannot be read is written into its state.

    None where more was read and no clip ended.
    """
    from mmdemo.media.audio import header_seconds, stream_audio

    for source, state in enumerate(states):
        try:
            state.length = header_seconds(state.path, models.settings) or 0.0
            blocks = state.measured(stream_audio(state.path, models.settings))
            for clip in clips(blocks, voice_only=options.voice_only, longest=most, cancelled=cancelled):
                watch.share({source: 1.0})
                if clip is None:
                    yield None
                    continue
                state.waiting.append(clip.start)
                yield replace(clip, source=source)
        except InputError as error:
            if len(states) == 1:
                raise
            state.error = str(error)
        state.is_read = True
        watch.share({source: 1.0})
