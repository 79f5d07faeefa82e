"""How near files and sentences are in the space of two towers: search by text, and the text of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdemo import catalog
from mmdemo.catalog import ModelSpec
from mmdemo.errors import InputError
from mmdemo.options import option
from mmdemo.results import Nearness, Provenance
from mmdemo.runtime.aligning import Aligner
from mmdemo.runtime.lease import Models
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import Cancelled, Step, Stopwatch, device_option, loading, quantization_option, unable
from mmdemo.tasks.batches import Answered, answered, called

if TYPE_CHECKING:
    from mmdemo.settings import Settings

STARTER = "starter-search"
"""The key of the towers that are used where none are named."""
SIDE = 512
"""Pixels that a picture is decoded to at least."""
HEARD = 30.0
"""Seconds of a recording that are heard."""


@dataclass(frozen=True)
class Options:
    """What to compare with what."""

    model: str = option(
        STARTER, "Model", "Two towers: a key, or the folder of a training of retrieval.", advanced=False
    )
    texts: str = option("", "Texts", "One a line: each is compared with every file.", advanced=False)
    quantization: str = quantization_option()
    device: str = device_option()

    def checkpoints(self) -> tuple[str, ...]:
        """The key of the model.

        Raises:
            UnknownName, Unsupported, InputError: there is none, or it has no common space.
        """
        return (towers(self.model).key,)

    @property
    def lines(self) -> tuple[str, ...]:
        """The texts, each once, in their order."""
        return tuple(dict.fromkeys(line.strip() for line in self.texts.splitlines() if line.strip()))


def towers(model: str) -> ModelSpec:
    """The row of a model of two towers.

    Raises:
        UnknownName, Unsupported, InputError: there is none, or it has no common space.
    """
    spec = catalog.get(model or STARTER)
    if "align" not in spec.tasks:
        raise unable("align", spec)
    return spec


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Cancelled) -> Iterator[Step]:
    """One result a file: its nearness to each text.

    Raises:
        StudioError: without texts, for a model that has no common space, and for the file if it is the only one.
    """
    key = options.checkpoints()[0]
    lines = options.lines
    if not lines:
        raise InputError("There is no text to compare with: write one, or several, one a line.")
    backend = yield from loading(models, key, cancelled, How(options.quantization, options.device))
    if not isinstance(backend, Aligner):
        raise unable("align", backend.spec)
    watch = Stopwatch()
    texts: list[Any] = []
    yield from called(partial(backend.place_texts, lines), backend, texts, watch)
    for step in answered(
        files,
        lambda file: _opened(Path(file), backend, models.settings),
        backend.place_media,
        backend,
        watch,
        cancelled,
    ):
        if not isinstance(step, Answered):
            yield step
            continue
        scores = () if step.error else tuple((np.asarray(step.found) @ np.asarray(texts[0]).T).tolist())
        spent = Provenance(backend.spec.title, getattr(backend, "device", "cpu"), step.seconds)
        yield Nearness(str(files[step.place]), lines, scores, spent, error=step.error)


def _opened(file: Path, backend: Aligner, settings: Settings) -> Any:
    """A picture, or the beginning of a recording."""
    if backend.hears:
        from mmdemo.media.moments import sound_of

        return sound_of(file, settings, 0.0, HEARD)
    from mmdemo.media.images import open_image

    return open_image(file, settings, fit=SIDE)
