"""Describe pictures: a sentence, alt text, tags, or the answer to a question."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmdemo import catalog
from mmdemo.errors import InputError, Unsupported
from mmdemo.options import option
from mmdemo.results import Description, Provenance
from mmdemo.runtime.asking import look, say
from mmdemo.runtime.base import Ask, Describer, Talk, Talker
from mmdemo.runtime.calls import Call
from mmdemo.runtime.lease import Models
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import Step, Stopwatch, able, device_option, go_on, loading, quantization_option, require, unable

if TYPE_CHECKING:
    from PIL import Image

FEW = 8
"""Up to so many pictures, `read_text` "auto" reads the words in them; it takes longer than the rest."""
PICTURE_SIDE = 1280
"""Pictures are decoded no larger than needed to read the words in them."""


@dataclass(frozen=True)
class Options:
    """How to describe."""

    model: str = option(
        "starter-describer", "Model", "Which model looks at the picture.", advanced=False, task="describe"
    )
    style: str = option(
        "sentence", "Style", "What to write.", choices=("sentence", "alt", "tags", "paragraph"), advanced=False
    )
    question: str = option(
        "", "Question", "Ask about the picture instead of describing it.", advanced=False, place="question"
    )
    answer_model: str = option(
        "smollm2-135m-instruct",
        "Answering model",
        "Answers a question from what was found, when the model above cannot see the question.",
        task="talk",
    )
    adapter: str = option("", "Adapter", "Folder of a LoRA adapter for the model that writes the answer; empty: none.")
    read_text: str = option(
        "auto",
        "Read text",
        "Also read the words in the picture. Auto: for up to eight pictures at once.",
        choices=("auto", "yes", "no"),
    )
    labels: int = option(5, "Labels", "How many things to name beside the sentence.", minimum=0, maximum=20, step=1)
    max_words: int = option(60, "Longest answer", "In words.", minimum=5, maximum=500, step=5)
    quantization: str = quantization_option()
    device: str = device_option()
    batch: int = option(16, "Batch", "Pictures described at once.", minimum=1, maximum=128, step=1)

    def checkpoints(self) -> tuple[str, ...]:
        """Keys of the models that these options use, which can do what is asked of them.

        Raises:
            UnknownName, Unsupported: there is no such model, or it cannot.
        """
        spec = require("describe", self.model)
        if not self.question or spec.answers:
            return (spec.key,)
        return spec.key, require("talk", self.answer_model).key


@dataclass(frozen=True)
class _Picture:
    place: int
    """Among the files of the request."""
    file: str
    image: Image.Image


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Callable[[], bool]) -> Iterator[Step]:
    """Descriptions as they grow, in batches; the last one of each file is `done`.

    Raises:
        StudioError: for a model or style that does not exist or fit, and for the picture if it is the only one.
    """
    eye, *answering = options.checkpoints()
    spec = catalog.get(eye)
    if options.style not in spec.styles and not options.question:
        raise Unsupported(
            f"{spec.title} writes {', '.join(spec.styles)}, not {options.style}; choose another style or model."
        )
    backend = yield from loading(models, eye, cancelled, How(options.quantization, options.device))
    if not isinstance(backend, Describer):
        raise unable("describe", spec)
    talker: Talker | None = None
    if answering:
        loaded = yield from loading(models, answering[0], cancelled, How(device=options.device))
        if not isinstance(loaded, Talker):
            raise unable("talk", loaded.spec)
        talker = loaded
    able(talker or backend, options.adapter)
    watch = Stopwatch()
    reads = options.read_text == "yes" or (options.read_text == "auto" and len(files) <= FEW)
    work = _Work(backend, talker, options, reads, watch, cancelled)
    for start in range(0, len(files), options.batch):
        pictures = []
        for place, file in enumerate(files[start : start + options.batch], start):
            go_on(cancelled)
            try:
                pictures.append(_open(place, file, models))
            except InputError as error:
                if len(files) == 1:
                    raise
                watch.share({place: 1.0})
                provenance = Provenance(options.model, seconds=watch.seconds(place))
                yield Description(str(file), "", provenance, error=str(error))
            watch.share({place: 1.0})
        if pictures:
            yield from work.describe(pictures)


def _open(place: int, file: Path, models: Models) -> _Picture:
    from mmdemo.media.images import open_image

    return _Picture(place, str(file), open_image(file, models.settings, fit=PICTURE_SIDE))


@dataclass(frozen=True)
class _Work:
    """What a request describes its pictures with."""

    backend: Describer
    talker: Talker | None
    options: Options
    reads: bool
    watch: Stopwatch
    cancelled: Callable[[], bool]

    def describe(self, pictures: Sequence[_Picture]) -> Iterator[Step]:
        """One batch. What is yielded grows: words first, then the text that was read, then the answer."""
        options = self.options
        asks = [
            Ask(
                picture.image,
                "sentence" if self.talker else options.style,
                "" if self.talker else options.question,
                options.max_words,
                self.cancelled,
                "" if self.talker else options.adapter,
            )
            for picture in pictures
        ]
        left = {picture.place: 1.0 for picture in pictures}
        seen: dict[int, Description] = {}
        call = look(self.backend, asks)
        for step in call.steps():
            if isinstance(step, Call):
                yield step
                self.watch.skip(call.began)
                continue
            index, words = step
            go_on(self.cancelled)
            self.watch.share(left)
            picture = pictures[index]
            seen[index] = Description(
                picture.file,
                words.text,
                self._provenance(picture, words.from_labels),
                labels=words.labels[: options.labels],
                question=options.question,
                done=words.done and not self.reads and not self.talker,
            )
            yield seen[index]
            if words.done:
                left.pop(picture.place, None)
        for index in sorted(seen):
            seen[index] = yield from self._read(pictures[index], seen[index])
        if self.talker:
            yield from self._answer(self.talker, [pictures[index] for index in sorted(seen)], seen)

    def _read(self, picture: _Picture, seen: Description) -> Generator[Step, None, Description]:
        """What comes after the sentence: the text that is read. All of it is this picture's time."""
        result = seen
        if self.reads:
            from mmdemo.runtime.ocr import read_text

            go_on(self.cancelled)
            result = replace(result, text_read=read_text(picture.image))
        if self.options.style == "alt" and not self.options.question:
            result = replace(result, text=alt_text(result.text, result.text_read))
        self.watch.share({picture.place: 1.0})
        result = replace(result, provenance=self._later(result, picture))
        if not self.talker and (not result.done or result.text != seen.text):
            yield replace(result, done=True)
        return result

    def _answer(self, talker: Talker, pictures: Sequence[_Picture], seen: dict[int, Description]) -> Iterator[Step]:
        """The question, answered from what was found in each picture."""
        results = [replace(result, prompt=found(result), text="") for _, result in sorted(seen.items())]
        talks = [
            Talk(
                [{"role": "user", "content": result.prompt}],
                self.options.max_words * 2,
                self.cancelled,
                self.options.adapter,
            )
            for result in results
        ]
        left = {picture.place: 1.0 for picture in pictures}
        call = say(talker, talks)
        for step in call.steps():
            if isinstance(step, Call):
                yield step
                self.watch.skip(call.began)
                continue
            place, piece = step
            go_on(self.cancelled)
            self.watch.share(left)
            grown = results[place].text + piece
            results[place] = replace(
                results[place], text=grown, provenance=self._later(results[place], pictures[place])
            )
            yield replace(results[place], text=grown.strip(), done=False)
        for picture, result in zip(pictures, results, strict=True):
            yield replace(result, text=result.text.strip(), provenance=self._later(result, picture), done=True)

    def _later(self, result: Description, picture: _Picture) -> Provenance:
        """Where a result comes from, by now."""
        return replace(result.provenance, seconds=self.watch.seconds(picture.place))

    def _provenance(self, picture: _Picture, from_labels: bool) -> Provenance:
        options = self.options
        read = self.reads or options.read_text == "no"
        notes: list[str] = []
        if from_labels:
            notes.append("The picture is unlike those this model learned from: the sentence is made of its labels.")
        if not read:
            notes.append("Words in the pictures were not read in this batch.")
        names = [options.model, options.answer_model] if self.talker else [options.model]
        device = getattr(self.backend, "device", "cpu")
        return Provenance(" + ".join(names), device, self.watch.seconds(picture.place), tuple(notes))


def alt_text(sentence: str, text_read: Sequence[str]) -> str:
    """A sentence as alternative text: what is seen, then the words in the picture, since they carry its meaning."""
    words = " ".join(text_read)
    if not words:
        return sentence
    return f"{sentence} Text: “{words}”"


def found(description: Description) -> str:
    """What a model that cannot see is told about a picture, and the question. The page shows exactly this."""
    lines = [f"A picture shows: {description.text}"]
    if description.labels:
        names = ", ".join(f"{label.name} ({label.probability:.0%})" for label in description.labels)
        lines.append(f"Things recognised in it: {names}.")
    if description.text_read:
        lines.append(f"Words written in it: {'; '.join(description.text_read)}.")
    return "\n".join([*lines, "", f"Answer in one short sentence: {description.question}"])
