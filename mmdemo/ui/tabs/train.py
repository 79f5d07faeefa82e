"""The tab that trains: drop data, see what was found, choose, start, watch it learn, see whether it got better."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import catalog, datasets
from mmdemo.errors import InputError, StudioError
from mmdemo.runtime.sources.base import Progress
from mmdemo.training import ranges, submit
from mmdemo.training.config import TrainOptions
from mmdemo.ui import data_cards, uploads
from mmdemo.ui.bench import Context, State, Updates, sentence
from mmdemo.ui.data_drop import DataDrop, Read
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import listen, quiet
from mmdemo.ui.i18n import TRAIN, TRIALS, label, language_of, option_label, say
from mmdemo.ui.inputs import Look, advanced, intro
from mmdemo.ui.rows import Rows
from mmdemo.ui.run_view import RunView
from mmdemo.ui.trials_view import TrialsView

BASES: dict[str, tuple[str, ...]] = {
    "text-classification": ("embed", "talk", "classify-text"),
    "token-classification": ("embed", "talk", "classify-text"),
    "image-text-classification": ("embed", "classify-image-text"),
    "image-text-token-classification": ("embed", "classify-image-text"),
    "automatic-speech-recognition": ("transcribe",),
    "image-to-text": ("describe",),
    "image-text-to-text": ("describe",),
    "image-classification": ("classify",),
    "audio-classification": ("transcribe", "classify-audio"),
    "text-image-retrieval": ("classify",),
    "text-audio-retrieval": ("transcribe",),
    "text-generation": ("talk",),
}
"""What a model must be able to do so that a task can begin with it."""


class Train:
    """The tab: what it shows and what its controls do."""

    name = "train"
    form = None

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        own = {
            "data": gr.Textbox("", visible=False, render=False, elem_id="mm-train-data"),
            "model": gr.Dropdown(
                [(label("starter_model"), "")], value="", label=option_label(TRAIN, "model", "label"),
                info=option_label(TRAIN, "model", "help"), allow_custom_value=True, min_width=200, render=False,
                elem_id="mm-train-model", elem_classes=["mm-option"],
            ),
            "also": gr.Dropdown(
                [(label("no_other_data"), "")], value="", label=option_label(TRAIN, "also", "label"),
                info=option_label(TRAIN, "also", "help"), allow_custom_value=True, min_width=200, render=False,
                elem_id="mm-train-also", elem_classes=["mm-option"],
            ),
        }  # fmt: skip
        self.options = Form.of(TRAIN, own)
        self.task, self.model, self.data = (self.options.components[name] for name in ("task", "model", "data"))
        with gr.Row(elem_classes=["mm-panel", "mm-panel-train"]):
            with gr.Column(scale=2, min_width=300, elem_classes=["mm-input"]):
                self.drop = DataDrop(context, "train", "drop_data", self.data)
                self.options.place(advanced=False)
                self.go = gr.Button(label("train_go"), variant="primary", elem_classes=["mm-go"], elem_id="mm-train-go")
                advanced(self.options)
                self._place_search()
            with gr.Column(scale=3, min_width=300, elem_classes=["mm-output"]):
                self.drop.place_found("train", self.took)
                self.rows = Rows(context, self.data, self.drop.sets)
                self.view = RunView(context)
                self.trials = TrialsView(context)
        self.looks = [
            intro("intro_train", self.drop.found),
            Look(self.own_sets, None, [self.drop.sets, self.options.components["also"]], again=True),
            Look(self.bases, [self.task, self.model], self.model, again=True),
            Look(self.view.opened, self.view.runs, self.view.outputs, again=True),
            Look(self.trials.opened, self.trials.runs, self.trials.outputs, again=True),
        ]
        self.listeners = self._wire()

    def _place_search(self) -> None:
        """The form of a search, folded."""
        own = {
            "ranges": gr.Textbox(
                "", lines=6, label=option_label(TRIALS, "ranges", "label"), info=option_label(TRIALS, "ranges", "help"),
                min_width=320, render=False, elem_id="mm-trials-ranges", elem_classes=["mm-option"],
            ),
        }  # fmt: skip
        self.how = Form.of(TRIALS, own)
        with gr.Accordion(label("trials_title"), open=False, elem_classes=["mm-fold"], elem_id="mm-trials"):
            self.how.place(advanced=False)
            with gr.Row(elem_classes=["mm-take"]):
                self.offer = gr.Button(
                    label("trials_offer"), size="sm", elem_classes=["mm-action"], elem_id="mm-trials-offer"
                )
                self.seek = gr.Button(label("trials_go"), size="sm", elem_classes=["mm-action"], elem_id="mm-trials-go")

    def _wire(self) -> list[Any]:
        drop, bench = self.drop, self.drop.bench
        read = list(dict.fromkeys([*drop.outputs, self.task, self.model, *self.rows.outputs]))
        started = [drop.found, self.rows.box, *bench.outputs, *self.view.outputs]
        self.task.change(self.bases, [self.task, self.model], self.model, **quiet())
        return [
            listen(drop.area.drop.upload, drop.dropped, [drop.area.drop], read),
            listen(drop.sets.input, drop.picked, [drop.sets], read),
            listen(self.rows.again.click, drop.picked, [self.data], read),
            listen(self.go.click, self.start, self.options.inputs, started),
            listen(self.seek.click, self.search, [*self.options.inputs, *self.how.inputs],
                   [drop.found, *bench.outputs, *self.trials.outputs]),
            listen(self.offer.click, self.ranges, self.options.inputs,
                   [self.how.components["ranges"], *bench.outputs]),
            listen(self.trials.train.click, self.best, [self.trials.runs],
                   [*self.view.outputs, self.trials.problem]),
            *self.view.trying.listeners,
        ]  # fmt: skip

    def own_sets(self) -> Updates:
        """The data sets that are there: to learn from, and to see whether something else was forgotten."""
        there = uploads.own(self.context.studio.settings)
        also = self.options.components["also"]
        choices = [(label("no_other_data"), ""), *there]
        return {self.drop.sets: self.drop.own(), also: gr.update(choices=choices)}

    def bases(self, task: str, model: str) -> Any:
        """The models that a task can begin with: the starter, what is on this machine, tuned ones too."""
        able = BASES.get(task, ())
        rows = [row.spec for row in self.context.studio.rows() if row.cached and set(row.spec.tasks) & set(able)]
        offered = [(label("starter_model"), ""), *((spec.title, spec.key) for spec in rows)]
        keep = model in [key for _, key in offered] or (model and model not in catalog.MODELS)
        return gr.update(choices=offered, value=model if keep else "")

    def took(self, one: Read) -> tuple[Updates, str]:
        """Show the rows of a data set; the task that it is for is chosen."""
        tasks = data_cards.tasks_of(one.report)
        updates = self.rows.opened(one.path, one.dataset, one.language)
        if tasks:
            updates |= {self.task: tasks[0], self.model: self.bases(tasks[0], "")}
        words = say("data_ready", one.language, count=one.count) if tasks else say("no_task_fits", one.language)
        return updates, words

    def start(self, *values: Any) -> Iterator[Updates]:
        """Put a training in the queue, and show it."""
        *chosen, request = values
        language = language_of(request)
        try:
            job = submit.training(self._asked(chosen), self.context.studio.jobs)
        except StudioError as error:
            yield self.drop.bench.refuse(sentence(error, language, "the tab train"))
            return
        yield {
            self.drop.found: "",
            self.rows.box: gr.update(visible=False),
            self.drop.bench.status: "",
            **self.view.shown(job.id, language),
        }

    def _asked(self, chosen: list[Any]) -> TrainOptions:
        """The options of a run, which need data.

        Raises:
            UnknownName, InputError: for values out of bounds, and without data.
        """
        options: TrainOptions = self.options.read(chosen)
        if not options.data:
            raise InputError("There are no data to train on yet: drop them first, or choose a set that is there.")
        return options

    def search(self, *values: Any) -> Iterator[Updates]:
        """Put a search for settings in the queue, and show it."""
        *chosen, request = values
        language, count = language_of(request), len(self.options.inputs)
        try:
            options, how = self._asked(chosen[:count]), self.how.read(chosen[count:])
            ranges.parse(how.ranges)
            job = submit.search(options, how, self.context.studio.jobs)
        except StudioError as error:
            yield self.drop.bench.refuse(sentence(error, language, "the search for settings"))
            return
        yield {self.drop.found: "", self.drop.bench.status: "", **self.trials.shown(job.id, language)}

    def ranges(self, *values: Any) -> Iterator[Updates]:
        """Write down what would be searched for if nobody says."""
        *chosen, request = values
        settings, got = self.context.studio.settings, list[str]()

        def make(run: Any) -> Iterator[Any]:
            yield Progress("Looking for ranges")
            options = self._asked(chosen)
            from mmdemo.training import recipes
            from mmdemo.training.models import settled

            kind = recipes.get(options.task)
            rows = len(datasets.read(Path(options.data), settings).rows)
            yield ranges.written(ranges.offered(settled(options, kind), kind, rows))

        def show(last: bool) -> State:
            return State({self.how.components["ranges"]: got[0]} if got else {}, words=say("trials_offered", language))

        language = language_of(request)
        yield from self.drop.bench.serve(request, make, got.append, show)

    def best(self, chosen: str, request: gr.Request) -> Iterator[Updates]:
        """Put a training with the best settings of a search in the queue, and show it."""
        language = language_of(request)
        job, updates = self.trials.again(chosen, language)
        yield {**updates, **(self.view.shown(job.id, language) if job else {})}

    def show(self, pressed: gr.EventData, request: gr.Request) -> Any:
        """Show a training or a search here, after its button in the drawer of jobs was pressed."""
        outputs, updates = self.outputs, dict[Any, Any]()
        if pressed.action != "show":
            return [gr.skip()] * (1 + len(outputs))
        with contextlib.suppress(StudioError):  # it was removed meanwhile
            id, language = str(pressed.value), language_of(request)
            view = self.trials if self.context.studio.jobs.get(id).kind == submit.SEARCH else self.view
            updates = view.shown(id, language)
        return [gr.Tabs(selected=self.name), *(updates.get(one, gr.skip()) for one in outputs)]

    @property
    def outputs(self) -> list[Any]:
        """What `show` changes besides the tab."""
        return [*self.view.outputs, *self.trials.outputs]
