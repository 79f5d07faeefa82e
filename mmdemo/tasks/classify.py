"""Classify: a text, a picture or a recording in, its classes with probabilities out; of a tagger what a text names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdemo import catalog
from mmdemo.catalog import ModelSpec
from mmdemo.errors import InputError
from mmdemo.media import endings
from mmdemo.options import option
from mmdemo.results import Classification, Provenance
from mmdemo.runtime.classifying import PAIRS, Classifier, Pair
from mmdemo.runtime.standing import How
from mmdemo.tasks.base import Cancelled, Stopwatch, device_option, loading, quantization_option, unable
from mmdemo.tasks.batches import Answered, answered
from mmdemo.tasks.speak import read

if TYPE_CHECKING:
    from mmdemo.runtime.lease import Models
    from mmdemo.settings import Settings
    from mmdemo.tasks.base import Step

SIDE = 512
"""Pixels that a picture is decoded to at least."""
HEARD = 30
"""Seconds of a recording that are heard."""
TASKS = ("classify", "classify-text", "classify-audio", "classify-image-text")
"""What a row must be able to do, one of them."""


@dataclass(frozen=True)
class Options:
    """What to classify with, and a text to classify."""

    model: str = option(
        "efficientnet-lite2", "Model", "A classifier or tagger: a key, or the folder of one that was trained.",
        advanced=False,
    )  # fmt: skip
    text: str = option(
        "", "Text", "What to classify, for a model of texts; or what goes with each picture.", advanced=False
    )
    labels: int = option(5, "Labels", "How many classes to name.", minimum=1, maximum=20, step=1)
    quantization: str = quantization_option()
    device: str = device_option()

    def checkpoints(self) -> tuple[str, ...]:
        """Key of the model that these options use, which classifies.

        Raises:
            UnknownName, Unsupported: there is no such model, or it does not.
        """
        return (classifier(self.model).key,)


def classifier(model: str) -> ModelSpec:
    """The row of a model that classifies; the folder of a training stands for what came of it.

    Raises:
        UnknownName, WeightsError, Unsupported: there is no such model, or it does not.
    """
    run = Path(model).expanduser()
    if model not in catalog.MODELS and (run / "model" / "config.json").is_file() and (run / "run.json").is_file():
        model = f"folder:{(run / 'model').resolve()}"
    spec = catalog.get(model)
    if not set(TASKS) & set(spec.tasks):
        raise unable("classify", spec)
    return spec


def run(models: Models, files: Sequence[Path], options: Options, cancelled: Cancelled) -> Iterator[Step]:
    """One result for the text, if it goes with no picture, and one for each file.

    Args:
        files: pictures or recordings, or for a model of texts, text files in UTF-8. For a model of pictures with texts
            the text goes with each picture.

    Raises:
        StudioError: for a model that does not classify, and for the file or text if it is the only one.
    """
    (key,) = options.checkpoints()
    texts = [options.text] if options.text.strip() else []
    if not texts and not files:
        raise InputError("There is nothing to classify: give a text or files.")
    backend = yield from loading(models, key, cancelled, How(options.quantization, options.device))
    if not isinstance(backend, Classifier):
        raise unable("classify", backend.spec)
    pairs = backend.takes == PAIRS
    if texts and not pairs and backend.takes != "text":
        raise InputError(f"{backend.spec.title} classifies no texts: give it files.")
    asks: list[tuple[str, Any]] = [(str(file), Path(file)) for file in files]
    if not (pairs and any(is_picture(file) for _, file in asks)):  # there the text goes with each picture
        asks = [("text", text) for text in texts] + asks
    watch = Stopwatch()

    def opened(ask: tuple[str, Any]) -> Any:
        return _pair(ask[1], options.text, models.settings) if pairs else _opened(ask[1], takes, models.settings)

    takes = backend.takes
    for step in answered(asks, opened, backend.classify, backend, watch, cancelled):
        if not isinstance(step, Answered):
            yield step
            continue
        name, spent = asks[step.place][0], Provenance(key, getattr(backend, "device", "cpu"), step.seconds)
        if step.error:
            yield Classification(name, "", spent, error=step.error)
            continue
        labels = step.found.labels[: options.labels]
        said = labels[0].name if labels else step.given.text if pairs else step.given
        yield Classification(name, said, spent, labels, step.found.entities)


def is_picture(file: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return endings.kind(file) == "image"


def _pair(one: str | Path, text: str, settings: Settings) -> Pair:
    """A picture with the text of the request; or a text, or that of a file, without a picture.

    Raises:
        InputError: it cannot be read as such.
    """
    if isinstance(one, str) or not is_picture(one):
        return Pair(_opened(one, "text", settings))
    return Pair(text, _opened(one, "image", settings))


def _opened(one: str | Path, takes: str, settings: Settings) -> Any:
    """A text; the text of a file; a picture; or the beginning of a recording.

    Raises:
        InputError: it cannot be read as such.
    """
    if isinstance(one, str):
        return one
    if takes == "text":
        return read(one)
    if takes == "image":
        from mmdemo.media.images import open_image

        return open_image(one, settings, fit=SIDE)
    import numpy as np

    from mmdemo.media.audio import RATE
    from mmdemo.media.moments import sound_of

    samples = sound_of(one, settings, 0.0, HEARD)
    return samples if len(samples) else np.zeros(RATE // 10, np.float32)
