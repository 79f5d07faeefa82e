"""Caption a video: what is seen, shot by shot, and what is said, as one time-coded track."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdemo.errors import InputError, UnreadableMedia
from mmdemo.options import option
from mmdemo.results import Provenance, Segment, Track
from mmdemo.runtime.asking import look, watch
from mmdemo.runtime.base import Ask, Backend, Describer, Hearing, Seen
from mmdemo.runtime.calls import Call
from mmdemo.runtime.lease import Models
from mmdemo.runtime.scenes import Watcher
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import Step, Stopwatch, device_option, go_on, loading, quantization_option, require, unable
from mmdemo.tasks.listening import NO_SPEECH, listen, transcriber
from mmdemo.tasks.watching import Watching

if TYPE_CHECKING:
    from mmdemo.media.audio import Block
    from mmdemo.media.video import Shot

BATCH = 8
"""Keyframes, or stretches of speech, of one call of a model: enough to be fast, few enough to be flat in memory."""
FIRST = 2
"""Keyframes of the first call, so that the first scene comes soon."""
MAX_WORDS = 60


@dataclass(frozen=True)
class Options:
    """How to watch and listen."""

    model: str = option(
        "starter-describer", "Model", "Which model looks at the frames.", advanced=False, task="describe"
    )
    speech_model: str = option(
        "whisper-base", "Speech model", "Which model listens.", advanced=False, task="transcribe"
    )
    scenes: bool = option(True, "Scenes", "Describe what is seen.", advanced=False)
    speech: bool = option(True, "Speech", "Write down what is said.", advanced=False)
    language: str = option("", "Language", "Spoken language as a two-letter code; empty: detected.", language=True)
    sensitivity: float = option(
        27.0, "Cut threshold", "How different two frames must be to begin a new shot; lower finds more shots.",
        minimum=5.0, maximum=80.0, step=1.0,
    )  # fmt: skip
    longest_shot: float = option(
        15.0, "Longest shot", "A longer shot is described again after this many seconds.",
        minimum=2.0, maximum=600.0, step=1.0,
    )  # fmt: skip
    words: bool = option(False, "Word times", "Find when each word is said.")
    beams: int = option(5, "Beams", "Wider search when listening. 1 is greedy.", minimum=1, maximum=10, step=1)
    quantization: str = quantization_option()
    device: str = device_option()

    def checkpoints(self) -> tuple[str, ...]:
        """Keys of the models that these options use, which can do what is asked of them.

        Raises:
            UnknownName, Unsupported: there is no such model, or it cannot.
        """
        eyes = [require("describe", self.model).key] if self.scenes else []
        ears = [require("transcribe", self.speech_model).key] if self.speech else []
        return (*eyes, *ears)


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Callable[[], bool]) -> Iterator[Step]:
    """Caption videos one after the other: scenes as their shots are found, then speech as it is heard.

    A recording without picture gets speech alone, a silent film scenes alone. A file that cannot be read becomes a
    `Track` with an `error` if there are others, and raises if it is the only one.

    Yields:
        `Progress` while a model is fetched or loaded, and for each file tracks that grow, the last `done`.

    Raises:
        UnknownName, Unsupported, WeightsError, DoesNotFit, Cancelled, and InputError for a single file.
    """
    if not (options.scenes or options.speech):
        raise InputError("There is nothing to do: turn on scenes, speech or both.")
    options.checkpoints()
    for file in files:
        work = _Video(models, Path(file), options, cancelled)
        try:
            yield from work.run()
        except InputError as error:
            if len(files) == 1:
                raise
            yield Track(str(file), (), Provenance(work.model, seconds=work.spent()), error=str(error))


class _Video:
    """One file on its way to a track."""

    def __init__(self, models: Models, path: Path, options: Options, cancelled: Callable[[], bool]) -> None:
        self._given = models
        self._path = path
        self._options = options
        self._cancelled = cancelled
        self._clock = Stopwatch()
        self._watching: Watching | None = None
        self._scenes: list[Segment] = []
        self._speech: list[Segment] = []
        self._models: dict[str, str] = {}
        self._notes: list[str] = []
        self._language = ("", 0.0)
        self._seconds = 0.0
        self._read = 0.0
        """Seconds of the file that the running step has read."""

    @property
    def model(self) -> str:
        """The models that were used so far."""
        return " + ".join(self._models)

    def spent(self) -> float:
        """Seconds of work on it so far."""
        self._clock.share({0: 1.0})
        return self._clock.seconds()

    def run(self) -> Iterator[Step]:
        """See the module's `run`."""
        from mmdemo.media.video import probe

        info = probe(self._path, self._given.settings)
        self._seconds = info.seconds
        scenes = self._options.scenes and info.has_picture
        speech = self._options.speech and info.has_sound
        if self._options.scenes and not info.has_picture:
            self._notes.append("It has no picture, so only its speech is here.")
        if self._options.speech and not info.has_sound:
            self._notes.append("It has no sound, so only its scenes are here.")
        if not (scenes or speech):
            name = self._path.name
            raise UnreadableMedia(
                f"{name} has no picture: turn on speech and try again."
                if self._options.scenes
                else f"{name} has no sound: turn on scenes and try again."
            )
        steps = [step for wanted, step in ((scenes, self._watch), (speech, self._hear)) if wanted]
        broken: list[UnreadableMedia] = []
        for number, step in enumerate(steps):
            try:
                for event in step():
                    part = min(1.0, self._read / self._seconds) if self._seconds else 0.0
                    yield event or self._track((number + part) / len(steps))
            except UnreadableMedia as error:  # the other half of the file may be fine
                broken.append(error)
                self._notes.append(str(error))
        if len(broken) == len(steps):
            raise broken[0]
        yield self._track(1.0, done=True)

    def _watch(self) -> Iterator[Step | None]:
        """Describe the shots; None each time the track has grown."""
        from mmdemo.media.video import shots

        options = self._options
        loaded = yield from self._load(options.model)
        if not isinstance(loaded, Describer):
            raise unable("describe", loaded.spec)
        found = shots(
            self._path,
            self._given.settings,
            sensitivity=options.sensitivity,
            longest=options.longest_shot,
            cancelled=self._cancelled,
        )
        styles = loaded.spec.styles
        style = "sentence" if "sentence" in styles or not styles else styles[0]
        self._read = 0.0
        while batch := list(islice(found, BATCH if self._scenes else FIRST)):
            go_on(self._cancelled)
            texts = [""] * len(batch)
            for step in self._looking(loaded, batch, style).steps():
                if isinstance(step, Call):
                    yield from self._called(step)
                    continue
                go_on(self._cancelled)
                index, seen = step
                texts[index] = seen.text.strip()
            for shot, text in zip(batch, texts, strict=True):
                self._add_scene(Segment(shot.start, shot.end, text, "scene"))
            self._read = batch[-1].end
            self._seconds = max(self._seconds, self._read)
            yield None

    def _looking(self, loaded: Describer, batch: Sequence[Shot], style: str) -> Call[Any, Seen]:
        """The call that looks at shots: at their frames and sound together, if the model can, else at a keyframe."""
        if isinstance(loaded, Watcher) and (loaded.frames > 1 or loaded.hears):
            if self._watching is None:
                self._watching = Watching(self._path, self._given.settings, loaded, self._cancelled)
            return watch(loaded, [self._watching.scene(shot) for shot in batch], MAX_WORDS)
        return look(loaded, [Ask(shot.keyframe, style, max_words=MAX_WORDS, left=self._cancelled) for shot in batch])

    def _add_scene(self, scene: Segment) -> None:
        """Append a scene, or lengthen the last one if it shows the same."""
        if self._scenes and self._scenes[-1].text == scene.text:
            self._scenes[-1] = replace(self._scenes[-1], end=scene.end)
        elif scene.text:
            self._scenes.append(scene)

    def _hear(self) -> Iterator[Step | None]:
        """Transcribe the sound; None each time the track has grown or more was read."""
        from mmdemo.media.audio import stream_audio

        options = self._options
        backend = transcriber((yield from self._load(options.speech_model)))
        hearing = Hearing(options.language, words=options.words, beams=options.beams, left=self._cancelled)
        self._read = 0.0
        blocks = self._measured(stream_audio(self._path, self._given.settings))
        for heard in listen(backend, blocks, hearing, voice_only=True, batch=BATCH, cancelled=self._cancelled):
            if isinstance(heard, Call):
                yield from self._called(heard)
                continue
            if heard is not None:
                self._speech.append(heard.segment)
                if heard.language_probability >= self._language[1]:
                    self._language = (heard.language, heard.language_probability)
            yield None
        if not self._speech:
            self._notes.append(NO_SPEECH)

    def _measured(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """`blocks`, with how far they have been read kept as they pass."""
        from mmdemo.media.audio import RATE

        for block in blocks:
            self._read = block.start + len(block.samples) / RATE
            self._seconds = max(self._seconds, self._read)
            yield block

    def _called(self, call: Call[Any, Any]) -> Iterator[Step]:
        """Let an engine work; the time in which others have their turn is not this file's."""
        self._clock.share({0: 1.0})
        yield call
        self._clock.skip(call.began)

    def _load(self, key: str) -> Generator[Step, None, Backend]:
        go_on(self._cancelled)
        self._clock.share({0: 1.0})
        seen = key == self._options.model  # the quantization is that of the model that looks
        how = How(self._options.quantization if seen else "auto", self._options.device)
        loaded = yield from loading(self._given, key, self._cancelled, how)
        self._clock.skip()
        self._models[key] = loaded.device
        return loaded

    def _track(self, progress: float, done: bool = False) -> Track:
        segments = sorted([*self._scenes, *self._speech], key=lambda one: (one.start, one.kind != "scene"))
        devices = " + ".join(dict.fromkeys(self._models.values()))
        notes = tuple(self._notes)
        provenance = Provenance(self.model, devices or "cpu", self.spent(), notes)
        language = self._language[0]
        return Track(str(self._path), tuple(segments), provenance, language, self._seconds, progress, done)
