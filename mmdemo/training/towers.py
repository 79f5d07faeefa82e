"""What is composed without a language model: two towers that find, and a linear SVM that names classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from mmdemo.chains import FRESH, Compose
from mmdemo.errors import InputError, StudioError
from mmdemo.fusion import check, compose, shape
from mmdemo.fusion.config import SiameseConfig, width
from mmdemo.fusion.shape import Chain, Part
from mmdemo.runtime.sources import Progress
from mmdemo.settings import Settings
from mmdemo.training import models

Report = Callable[[Progress], None]
ALONE = ("siamese", "svm")
"""Alignments in which no language model takes part."""


def chain(options: Compose, settings: Settings, report: Report) -> Chain:
    """What it looks like, or why there is no such thing. No weights are read."""
    try:
        medium, name = medium_of(options)
        about = compose.encoder_config(models.base_of(name, settings, report).folder)
        _fits(medium, about, options, name)
        if options.projector == "svm":
            return Chain(tuple(_svm(medium, about)))
        reader = compose.encoder_config(models.base_of(options.chosen["text"], settings, report).folder)
        return Chain(tuple(_towers(medium, about, reader)))
    except StudioError as error:
        return Chain((), (str(error),))


def medium_of(options: Compose) -> tuple[str, str]:
    """`vision` or `audio`, and its encoder.

    Raises:
        InputError: there is none, there are two, or it is not one that has learned.
    """
    there = [(medium, name) for medium, name in (("vision", options.vision), ("audio", options.audio)) if name]
    if len(there) != 1:
        raise InputError(
            "This alignment takes one medium: choose an encoder of pictures or one of sound, and None for the other."
        )
    if there[0][1] == FRESH:
        raise InputError("This alignment stands on an encoder that has learned already: choose one, no fresh patches.")
    if options.projector == "svm" and options.text:
        raise InputError("An SVM names what is seen or heard and reads no text: choose None as the text encoder.")
    if options.frames > 1:
        raise InputError(f"This alignment takes one picture, not {options.frames} frames: set the frames to 1.")
    return there[0]


def _fits(medium: str, about: Any, options: Compose, name: str) -> None:
    if medium == "audio" and about.model_type != "whisper":
        raise InputError(f"Sound is heard by Whisper here, not by {about.model_type!r}: choose a Whisper model.")
    if options.projector == "svm" and medium == "vision" and about.model_type != "fusion_vision":
        raise InputError("The SVM stands on EfficientNet-Lite2: choose that encoder of pictures.")


def _towers(medium: str, about: Any, reader: Any) -> Iterator[Part]:
    from mmdemo.fusion.siamese import SiameseModel

    config = SiameseConfig(media_config=about.to_dict(), text_config=reader.to_dict())
    with torch.device("meta"):
        model = SiameseModel(config)
    yield from _tower(medium, about, model.media)
    yield shape.counted("projector", medium, config.projector, (config.size,), [model.media_projector], False)
    yield Part("input", "text", "tokens", (shape.WORDS,))
    yield shape.counted("encoder", "text", reader.model_type, (shape.WORDS, width(reader)), [model.text], True)
    yield shape.counted("projector", "text", config.projector, (config.size,), [model.text_projector], False)
    yield Part("space", "", config.loss, (config.size,), model.scale.numel())


def _tower(medium: str, about: Any, network: Any) -> Iterator[Part]:
    yield Part("input", medium, shape.INPUTS[medium], check.reads(medium, about))
    kind = getattr(about, "architecture", about.model_type)
    yield shape.counted("encoder", medium, kind, check.shape_of(medium, about), [network], True)


def _svm(medium: str, about: Any) -> Iterator[Part]:
    from mmdemo.fusion import encoders

    with torch.device("meta"):
        network = encoders.build(about)
    yield from _tower(medium, about, network)
    yield Part("class", "", "svm", (1,), width(about) + 1)


def write(options: Compose, folder: Path, settings: Settings, report: Report) -> None:
    """Two towers with fresh projectors into `folder`, as `text-image-retrieval` learns them.

    Raises:
        InputError: the parts do not go together, or it is an SVM, of which there is nothing to write yet.
        WeightsError, UnknownName, Cancelled: a part cannot be had, or read.
    """
    from mmdemo.fusion.aligned import Aligned

    medium, name = medium_of(options)
    if options.projector == "svm":
        task = "image-classification" if medium == "vision" else "audio-classification"
        raise InputError(f"An SVM is fitted to data, there is nothing to write: train {task} with the method svm.")
    base = models.base_of(name, settings, report).folder
    _fits(medium, compose.encoder_config(base), options, name)
    reader = models.base_of(options.chosen["text"], settings, report).folder
    Aligned.begun(base, reader, fresh=True).save(folder)
