"""A training on the page while it learns and afterwards: which one, how it stands, curves, samples, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import catalog
from mmdemo.errors import StudioError
from mmdemo.jobs import Job
from mmdemo.jobs.events import History
from mmdemo.runtime.sources.base import Progress
from mmdemo.training import submit
from mmdemo.ui import reports, run_cards
from mmdemo.ui.ballot_view import BallotView
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.curves import Curves
from mmdemo.ui.handlers import private
from mmdemo.ui.i18n import label, say
from mmdemo.ui.job_view import JobView, Seen
from mmdemo.ui.pushing import Pushing
from mmdemo.ui.taking import FORMS, forms, key, taken
from mmdemo.ui.trying import Trying

USED = ("describe", "transcribe", "talk", "align")
"""What a model must be able to do for a tab to choose it."""


class RunView(JobView):
    """One training at a time; which one is chosen from all of them."""

    kind, where = submit.TRAIN, "the page of a training"

    def __init__(self, context: Context, tab: str = "train", fits: Callable[[Job], bool] = lambda job: True) -> None:
        """Place it here.

        Args:
            tab: begins the names of its components.
            fits: whether a training is one of those that are shown here.
        """
        super().__init__(context, fits)
        self.place("run", tab)
        with gr.Row(elem_classes=["mm-take"], visible=False) as self.done:
            self.use = gr.Button(label("use_here"), size="sm", elem_classes=["mm-action"], elem_id=f"mm-{tab}-use")
            self.form = gr.Dropdown(
                [(label(f"form_{form}"), form) for form in FORMS], value=FORMS[0], label=label("take_form"),
                show_label=False, container=False, filterable=False, min_width=200, elem_id=f"mm-{tab}-form",
            )  # fmt: skip
            self.pack = gr.Button(label("pack"), size="sm", elem_classes=["mm-action"], elem_id=f"mm-{tab}-pack")
            self.zip = gr.DownloadButton(
                label("packed"), size="sm", visible=False, elem_classes=["mm-action"], elem_id=f"mm-{tab}-zip"
            )
        self.bench = Bench(context, "export" if tab == "train" else f"export_{tab}", lasting=False)
        self.trying = Trying(context, self.runs, tab)
        self.pushing = Pushing(context, self.runs, tab)
        self.report = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-report")
        self.ballot = BallotView(context, tab)
        self.curves = Curves(tab)
        self.samples = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-samples")
        self.watch()
        self.pack.click(self.packed, [self.runs, self.form], [self.zip, *self.bench.outputs], **private())

    @property
    def outputs(self) -> list[Any]:
        """What a look changes."""
        own = [self.report, self.samples, self.done, self.use, self.form, self.zip, self.bench.status]
        below = [*self.trying.outputs, *self.pushing.outputs, *self.curves.outputs, *self.ballot.outputs]
        return [*super().outputs, *own, *below]

    def state(self, job: Job, said: History) -> Seen:
        """The last event."""
        return (said.last.get("time", 0),)

    def details(self, job: Job, said: History, language: str) -> Updates:
        """What can be done with its model, the report, the vote, curves and samples."""
        offered = forms(job) if job.state == "done" else []
        can = able(job) if offered else ()
        return {
            self.report: reports.html(reports.read(job.folder), self.context.studio.settings, language),
            self.samples: run_cards.samples(said, language),
            self.done: gr.update(visible=bool(offered)),
            self.form: gr.update(choices=[(say(f"form_{form}", language), form) for form in offered or FORMS]),
            self.use: gr.update(visible=any(task in USED for task in can)),
            **self.trying.shown(can),
            **self.pushing.shown(bool(offered)),
            **self.curves.updates(said, language),
            **self.ballot.shown(job.id, job.folder if job.state == "done" else None, language),
        }

    def fresh(self, job: Job) -> Updates:
        """What was packed, tried or said of another training."""
        return {self.zip: gr.update(visible=False), **self.bench.clear(), **self.trying.fresh(), **self.pushing.fresh()}

    def nothing(self) -> Updates:
        """Everything hidden."""
        empty = {one: "" for one in (self.head, self.problem, self.report, self.samples)}
        hidden = {one: gr.update(visible=False) for one in (self.done, self.zip)}
        runs = gr.update(choices=[], value=None, visible=False)
        return {**empty, **hidden, self.runs: runs, **self.trying.shown(()), **self.pushing.shown(False),
                **self.curves.updates(None, "en"), **self.ballot.shown("", None, "en")}  # fmt: skip

    def packed(self, chosen: str, form: str, request: gr.Request) -> Iterator[Updates]:
        """Put a tuned model into one file, to be taken away."""
        made: list[Path] = []

        def make(run: Any) -> Iterator[Any]:
            yield Progress("Packing the model")
            yield taken(self.context.studio.jobs.get(chosen), form or FORMS[0])

        def show(last: bool) -> State:
            return State({self.zip: gr.update(value=str(made[0]), visible=True)} if made else {})

        for updates in self.bench.serve(request, make, made.append, show):
            yield updates if made else {self.zip: gr.update(visible=False), **updates}


def able(job: Job) -> tuple[str, ...]:
    """What the tuned model of a training can do in the studio; nothing where there is none, or no engine runs it."""
    try:
        return tuple(catalog.get(key(job)).tasks)
    except StudioError:
        return ()
