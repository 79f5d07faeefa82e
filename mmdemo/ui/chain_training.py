"""Training of a chain that was composed: its data, one button, and the same job that the Train tab starts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import catalog
from mmdemo.errors import InputError, StudioError
from mmdemo.folders import PREFIX, RUN
from mmdemo.jobs import Job
from mmdemo.settings import Settings
from mmdemo.specs import ModelSpec
from mmdemo.training import submit
from mmdemo.training.config import TrainOptions
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.data_drop import DataDrop, Read
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Look
from mmdemo.ui.run_view import RunView

TASKS = {
    "image-to-text": "image-to-text",
    "video-text-to-text": "video-text-to-text",
    "audio-text-to-text": "audio-text-to-text",
    "automatic-speech-recognition": "audio-text-to-text",
}
"""What data are good for → what a chain learns of them; of data that fit several the first."""
OTHERS = {
    "siamese": ("text-image-retrieval", "text-audio-retrieval"),
    "svm": ("image-classification", "audio-classification"),
}
"""What is learned without a language model."""
SVM = "svm:"
"""How the choice of an SVM begins; the encoder it stands on follows."""


class ChainTraining:
    """What is beside the diagram: which chain, its data, and how its training stands."""

    def __init__(self, context: Context) -> None:
        """Place nothing yet: `choices` and `view` are placed where they belong."""
        self.context = context

    def place_choices(self) -> None:
        """Place the model, the data and the button here."""
        self.model = gr.Dropdown(
            [], value=None, label=label("chain_model"), visible=False, elem_id="mm-compose-model",
            elem_classes=["mm-option"],
        )  # fmt: skip
        self.drop = DataDrop(self.context, "compose", "drop_chain_data")
        self.task = gr.Textbox("", visible=False, elem_id="mm-compose-task")
        self.minutes = gr.Number(
            0, label=label("chain_minutes"), info=label("chain_minutes_why"), minimum=0, elem_id="mm-compose-minutes",
            elem_classes=["mm-option"],
        )  # fmt: skip
        self.go = gr.Button(label("chain_train"), elem_classes=["mm-action"], elem_id="mm-compose-train")

    def place_view(self) -> None:
        """Place what was found in the data, and the training, here."""
        self.drop.place_found("chain_data", self.took)
        self.view = RunView(self.context, "compose", lambda job: is_of_chain(job, self.context.studio.settings))

    @property
    def looks(self) -> list[Look]:
        """What it shows when the tab opens."""
        return [
            Look(self.drop.own, None, self.drop.sets, again=True),
            Look(self.offered, self.model, self.model, again=True),
            Look(self.view.opened, self.view.runs, self.view.outputs, again=True),
        ]

    def wired(self) -> list[Any]:
        """Listeners after which there may be new models."""
        drop = self.drop
        read = [*drop.outputs, self.task]
        started = [drop.found, *drop.bench.outputs, *self.view.outputs]
        return [
            listen(drop.area.drop.upload, drop.dropped, [drop.area.drop], read),
            listen(drop.sets.input, drop.picked, [drop.sets], read),
            listen(self.go.click, self.start, [self.model, drop.data, self.task, self.minutes], started),
        ]

    def offered(self, chosen: str | None) -> Any:
        """The chains that were composed here, the newest first; what was chosen stays."""
        there = [(spec.title, spec.key) for spec in chains(self.context)]
        keys = [key for _, key in there]
        if chosen and chosen.startswith(SVM):
            there.insert(0, (svm_title(chosen), chosen))
            keys.insert(0, chosen)
        value = chosen if chosen in keys else next(iter(keys), None)
        return gr.update(choices=there, value=value, visible=bool(there))

    def took(self, one: Read) -> tuple[Updates, str]:
        """What a chain can learn of a data set."""
        alone = [task for tasks in OTHERS.values() for task in tasks]
        fits = [TASKS.get(task, task) for task in one.report.tasks if task in TASKS or task in alone]
        words = say("chain_data_ready" if fits else "chain_data_unfit", one.language, count=one.count)
        return {self.task: " ".join(fits)}, words

    def start(
        self, model: str | None, data: str, task: str, minutes: float | None, request: gr.Request
    ) -> Iterator[Updates]:
        """Put a training of the chain in the queue, and show it."""
        language = language_of(request)
        try:
            if not model:
                raise InputError("There is no chain to train yet: compose one first.")
            if not data:
                raise InputError("There are no data to train on yet: drop them first, or choose a set that is there.")
            options = TrainOptions(
                task=task_of(model, task.split()), data=data, model=model.removeprefix(PREFIX).removeprefix(SVM),
                method="svm" if model.startswith(SVM) else "auto", minutes=float(minutes or 0),
            )  # fmt: skip
            job = submit.training(options, self.context.studio.jobs)
        except StudioError as error:
            yield self.drop.bench.refuse(sentence(error, language, "the tab compose"))
            return
        yield {self.drop.found: "", self.drop.bench.status: "", **self.view.shown(job.id, language)}


def chains(context: Context) -> list[ModelSpec]:
    """The rows of chains that were composed here."""
    place = f"{PREFIX}{context.studio.settings.chains_folder.resolve()}"
    return [row.spec for row in context.studio.rows() if row.spec.key.startswith(place)]


def svm_title(choice: str) -> str:
    """How an SVM is called: after the encoder it stands on."""
    return f"SVM · {catalog.get(choice.removeprefix(SVM)).title}"


def task_of(model: str, fits: Sequence[str]) -> str:
    """What a composed model learns of data that fit some tasks.

    Raises:
        InputError: the data are not for such a model.
    """
    kind = "svm" if model.startswith(SVM) else "siamese" if catalog.get(model).backend == "towers" else "chain"
    wanted = OTHERS.get(kind, tuple(TASKS.values()))
    found = next((task for task in fits if task in wanted), None)
    if found:
        return found
    if kind == "svm":
        raise InputError(
            "An SVM learns classes, which these data do not have: choose pictures or recordings with labels."
        )
    if kind == "siamese":
        raise InputError("Two towers learn from pairs: choose pictures or recordings with a sentence about each.")
    raise InputError("A chain learns to write: choose pictures, videos or recordings with a caption.")


def is_of_chain(job: Job, settings: Settings) -> bool:
    """Whether a training began with a chain that was composed here, or fits an SVM."""
    try:
        asked = json.loads((job.folder / RUN).read_bytes())
        model = str(asked.get("model", "")).removeprefix(PREFIX)
    except (OSError, ValueError, AttributeError):
        return False
    if asked.get("method") == "svm":
        return True
    return bool(model) and Path(model).is_relative_to(settings.chains_folder.resolve())
