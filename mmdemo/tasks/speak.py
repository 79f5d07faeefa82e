"""Speak: a text read aloud, sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmdemo.errors import InputError, Unsupported
from mmdemo.options import option
from mmdemo.results import Provenance, Speech
from mmdemo.runtime.asking import utter
from mmdemo.runtime.base import Speaker, Spoken
from mmdemo.runtime.calls import Call
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import (
    Cancelled,
    Stopwatch,
    device_option,
    go_on,
    loading,
    quantization_option,
    require,
    unable,
)  # fmt: skip

if TYPE_CHECKING:
    from mmdemo.runtime.lease import Models
    from mmdemo.tasks.base import Step

LONGEST = 300
"""Characters that are spoken at once, at most; a longer sentence is cut at a comma, else between words."""
PAUSE = 0.25
"""Seconds of silence between sentences."""
SENTENCE = re.compile(r"(?<=[.!?;:…])\s+|(?<=[。！？；：])|\n+")
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,9})?|\d{1,15}(?:\.\d{1,9})?")


@dataclass(frozen=True)
class Options:
    """How to speak."""

    model: str = option("mms-tts-eng", "Model", "Which model speaks.", advanced=False, task="speak")
    text: str = option("", "Text", "What to read aloud.", advanced=False)
    speed: float = option(
        1.0, "Speed", "Times as fast as the model speaks by itself.", minimum=0.5, maximum=2.0, step=0.05
    )
    voice: int = option(0, "Voice", "Number of the voice, where a model has several.", minimum=0, maximum=9999, step=1)
    seed: int = option(0, "Seed", "The same seed speaks the same way.", minimum=0, maximum=2**31 - 1, step=1)
    quantization: str = quantization_option()
    device: str = device_option()

    def checkpoints(self) -> tuple[str, ...]:
        """Key of the model that these options use, which can speak.

        Raises:
            UnknownName, Unsupported: there is no such model, or it cannot.
        """
        return (require("speak", self.model).key,)


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Cancelled) -> Iterator[Step]:
    """The speech as it grows; the last one of each text is `done`.

    Args:
        files: text files in UTF-8, read aloud after the options' text, one result each.

    Raises:
        StudioError: for a model that does not exist or fit, and for a text that it cannot say.
    """
    texts = [("speech", options.text)] if options.text.strip() or not files else []
    texts += [(str(file), read(file)) for file in files]
    if not all(text.strip() for _, text in texts):
        raise InputError("There is nothing to read aloud: give a text.")
    (key,) = options.checkpoints()
    backend = yield from loading(models, key, cancelled, How(options.quantization, options.device))
    if not isinstance(backend, Speaker):
        raise unable("speak", backend.spec)
    language = next((code for code in backend.spec.languages if code != "many"), "")
    watch = Stopwatch()
    for place, (name, text) in enumerate(texts):
        made = _Made(name, text, options, getattr(backend, "device", "cpu"))
        parts = sentences(spelled(text, language))
        call = utter(
            backend,
            [(part, options.seed + number) for number, part in enumerate(parts)],
            speed=options.speed,
            voice=options.voice,
        )
        for step in call.steps():
            if isinstance(step, Call):
                yield step
                watch.skip(call.began)
                continue
            number, spoken = step
            go_on(cancelled)
            made.add(spoken)
            watch.share({place: 1.0})
            yield made.so_far((number + 1) / len(parts), watch.seconds(place))


def read(file: Path) -> str:
    """The text of a file.

    Raises:
        InputError: it is not there, or is no text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file.name} cannot be read as text: save it as plain text in UTF-8.") from error


class _Made:
    """What was spoken of one text so far."""

    def __init__(self, name: str, text: str, options: Options, device: str) -> None:
        self._name, self._text, self._options, self._device = name, text, options, device
        self._sounds: list[NDArray[np.float32]] = []
        self._rate = 0
        self._refused: Unsupported | None = None

    def add(self, spoken: Spoken | Unsupported) -> None:
        """One sentence more, after a pause; one that the model cannot say is left out."""
        if isinstance(spoken, Unsupported):
            self._refused = spoken
            return
        self._rate = spoken.rate
        if self._sounds:
            self._sounds.append(np.zeros(int(PAUSE * spoken.rate), np.float32))
        self._sounds.append(spoken.samples)

    def so_far(self, progress: float, seconds: float) -> Speech:
        """The result, `done` where the progress is 1.

        Raises:
            Unsupported: it is done, and the model could say none of it.
        """
        if progress == 1.0 and not self._sounds and self._refused:
            raise self._refused
        notes = ("Parts of the text were left out, because the model cannot say them.",) if self._refused else ()
        provenance = Provenance(self._options.model, self._device, seconds, notes)
        samples = np.concatenate(self._sounds) if self._sounds else np.zeros(0, np.float32)
        return Speech(self._name, self._text, samples, self._rate, provenance, progress, done=progress == 1.0)


def sentences(text: str) -> list[str]:
    """A text in pieces that are spoken at once: its sentences, none longer than `LONGEST`."""
    found: list[str] = []
    for sentence in SENTENCE.split(text):
        rest = " ".join(sentence.split())
        while len(rest) > LONGEST:
            cut = max(rest.rfind(", ", 0, LONGEST), rest.rfind("，", 0, LONGEST)) + 1
            cut = cut or rest.rfind(" ", 0, LONGEST) + 1 or LONGEST
            found.append(rest[:cut].strip())
            rest = rest[cut:].strip()
        found.append(rest)
    return [part for part in found if any(letter.isalnum() for letter in part)] or [text.strip()]


def spelled(text: str, language: str) -> str:
    """The text with its numbers in words, for models that know letters alone; as it is where nobody knows how.

    Args:
        language: an ISO 639-1 code, or empty if it is not known.
    """
    from num2words import num2words

    def words(found: re.Match[str]) -> str:
        plain = found[0].replace(",", "")
        try:
            return str(num2words(float(plain) if "." in plain else int(plain), lang=language))
        except (NotImplementedError, OverflowError, ValueError):
            return found[0]

    return NUMBER.sub(words, text) if language else text
