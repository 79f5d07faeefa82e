"""Why a model said what it said of a file, word by word, and what it was given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmdemo import catalog
from mmdemo.catalog import STYLES, ModelSpec
from mmdemo.errors import InputError, Unsupported
from mmdemo.options import option
from mmdemo.results import Explanation, Provenance, Sights
from mmdemo.runtime.asking import use
from mmdemo.runtime.calls import Call
from mmdemo.runtime.explaining import Explained, Explainer, Given
from mmdemo.runtime.lease import Models
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import Cancelled, Step, Stopwatch, device_option, go_on, loading, quantization_option

if TYPE_CHECKING:
    from mmdemo.settings import Settings

INSIDE = ("fusion", "chain", "image_text", "multimodal", "faster_whisper", "speech_seq2seq", "speech_ctc")
"""Engines that show what is inside: gradients, attention, or what each frame says."""
LOOKS = 6
"""Frames of a stretch of video that a quick model of one picture is tried on."""
QUICK = ("fusion", "chain")
PICTURE_SIDE = 1280


@dataclass(frozen=True)
class Options:
    """What to explain."""

    model: str = option("starter-describer", "Model", "Which model said it.", advanced=False, task="describe")
    question: str = option("", "Question", "What it was asked; empty: to describe.", advanced=False)
    style: str = option("sentence", "Style", "What it was to write, where nothing was asked.", choices=STYLES)
    adapter: str = option("", "Adapter", "Folder of the LoRA adapter that it was said with; empty: none.")
    answer: str = option("", "Answer", "What it said; empty: what it says now.", advanced=False)
    start: float = option(0.0, "From", "Of a video or recording: where it begins, in seconds.", minimum=0.0)
    end: float = option(0.0, "To", "Where it ends, in seconds; 0: the end of the file.", minimum=0.0)
    heard: bool = option(False, "Heard", "It was said of the sound alone, also where there is a picture.")
    segments: bool = option(True, "Segments", "Also cut the picture into what is in front and what is behind.")
    quantization: str = quantization_option()
    device: str = device_option()

    def checkpoints(self) -> tuple[str, ...]:
        """The key of the model.

        Raises:
            UnknownName, Unsupported: there is no such model, or it cannot say why.
        """
        spec = catalog.get(self.model)
        if not explains(spec):
            raise unable(spec.title)
        return (spec.key,)


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Cancelled) -> Iterator[Step]:
    """One explanation a file.

    Raises:
        StudioError: for a model that cannot explain itself, and for the file if it is the only one.
    """
    backend = yield from loading(models, options.checkpoints()[0], cancelled, How(options.quantization, options.device))
    if not isinstance(backend, Explainer):
        raise unable(catalog.get(options.model).title)
    watch = Stopwatch()
    for place, file in enumerate(map(Path, files)):
        go_on(cancelled)
        try:
            notes: list[str] = []
            given, times = _given(file, backend, options, models.settings, notes)
            found: list[Explained] = []
            call = use(backend, partial(backend.explain, given, options.answer))
            for step in call.steps():
                if isinstance(step, Call):
                    yield step
                    watch.skip(call.began)
                    continue
                go_on(cancelled)
                found.append(step[1])
        except InputError as error:
            if len(files) == 1:
                raise
            watch.share({place: 1.0})
            spent = Provenance(options.model, seconds=watch.seconds(place))
            yield Explanation(str(file), "", (), Sights(), spent, error=str(error))
            continue
        best = max(range(len(found)), key=[likelihood(one) for one in found].__getitem__)
        if found[best].from_labels:
            notes.append("The sentence is made of labels: shown is where in the picture these come from.")
        sights = replace(found[best].sights, times=times[best], start=options.start)
        sights = _segmented(sights) if options.segments else sights
        watch.share({place: 1.0})
        spent = Provenance(options.model, getattr(backend, "device", "cpu"), watch.seconds(place), tuple(notes))
        yield Explanation(str(file), found[best].answer, found[best].reasons, sights, spent)


def explains(spec: ModelSpec) -> bool:
    """Whether a model can say why."""
    return spec.backend in INSIDE


def unable(title: str) -> Unsupported:
    """The error for a model that cannot say why."""
    return Unsupported(
        f"{title} cannot say why: the program that runs it, on a server or here, shows nothing of what is inside. "
        "Choose a model that runs in torch, Whisper, or the starter describer."
    )


def likelihood(one: Explained) -> float:
    """Mean logarithm of the words' probabilities."""
    return sum(math.log(max(reason.probability, 1e-30)) for reason in one.reasons) / max(1, len(one.reasons))


def _given(
    file: Path, backend: Explainer, options: Options, settings: Settings, notes: list[str]
) -> tuple[list[Given], list[tuple[float, ...]]]:
    """What of a file the model is given, with the times of its frames; of several the likeliest counts."""
    from mmdemo.media import moments
    from mmdemo.media.images import open_image
    from mmdemo.media.video import probe

    needs = backend.needs()
    asked = Given(text=options.question, style=options.style, adapter=options.adapter)
    if _is_picture(file, settings):
        return [replace(asked, frames=(open_image(file, settings, fit=PICTURE_SIDE),))], [()]
    about = probe(file, settings)
    end = min(options.end or about.seconds, about.seconds)
    if options.start >= end:
        raise InputError(f"{file.name} ends at {about.seconds:.1f} s: give a beginning and an end within that.")
    frames = needs.get("vision", 0)
    sound = None
    if "audio" in needs and about.has_sound:
        sound = moments.sound_of(file, settings, options.start, min(end, options.start + needs["audio"]))
    if options.heard or not (about.has_picture and frames):
        return [replace(asked, sound=sound)], [()]
    if frames > 1:
        times = moments.evenly(options.start, end, frames)
        shown = tuple(moments.pictures_at(file, times, settings))
        return [replace(asked, frames=shown, sound=sound)], [times]
    several = options.answer and catalog.get(options.model).backend in QUICK
    times = moments.evenly(options.start, end, LOOKS if several else 1)
    if several:
        notes.append("This model looks at one picture: shown is the frame for which the sentence is likeliest.")
    elif end > options.start:
        notes.append("This model looks at one picture: shown is the frame in the middle.")
    shown = tuple(moments.pictures_at(file, times, settings))
    return [replace(asked, frames=(one,), sound=sound) for one in shown], [(time,) for time in times]


def _is_picture(file: Path, settings: Settings) -> bool:
    """Whether a file is to be opened as a picture; so is what cannot be opened at all, which then says why."""
    from mmdemo.media import files

    return files.kind(files.check(file, settings)) not in ("video", "recording", "")


def _segmented(sights: Sights) -> Sights:
    from mmdemo.media.segments import segments

    whole = sights.pictures if sights.times else sights.pictures[:1]  # tiles are no pictures of their own
    return replace(sights, segments=tuple(segments(picture) for picture in whole))
