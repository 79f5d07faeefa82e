"""A training on the page while it learns and afterwards: which one, how it stands, curves, samples, the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import catalog, folders
from mmdemo.errors import StudioError
from mmdemo.jobs import Job
from mmdemo.jobs.job import WAITING
from mmdemo.runtime.sources.base import Progress
from mmdemo.training import submit
from mmdemo.ui import job_cards, parts, reports, run_cards
from mmdemo.ui.ballot_view import BallotView
from mmdemo.ui.bench import Bench, Context, State, Updates, sentence
from mmdemo.ui.curves import Curves
from mmdemo.ui.handlers import PRESSED, private, quiet
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.taking import FORMS, forms, taken

KIND = submit.TRAIN
BEAT = 2.0
"""Seconds between two looks at a training that runs or waits."""
USED = ("describe", "transcribe")
"""What a model must be able to do for a tab to choose it."""


class RunView:
    """One training at a time; which one is chosen from all of them."""

    def __init__(self, context: Context, tab: str = "train", fits: Callable[[Job], bool] = lambda job: True) -> None:
        """Place it here.

        Args:
            tab: begins the names of its components.
            fits: whether a training is one of those that are shown here.
        """
        self.context, self._fits = context, fits
        self.runs = gr.Dropdown(
            [],
            label=label("run"),
            visible=False,
            filterable=False,
            elem_id=f"mm-{tab}-runs",
            elem_classes=["mm-option"],
        )
        self.head = gr.HTML("", js_on_load=PRESSED, elem_classes=["mm-flat"], elem_id=f"mm-{tab}-head")
        self.problem = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-problem")
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
        self.report = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-report")
        self.ballot = BallotView(context, tab)
        self.curves = Curves(tab)
        self.samples = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-samples")
        self.seen = gr.State(())
        self.timer = gr.Timer(BEAT, active=False)
        self.timer.tick(self.look, [self.runs, self.seen], self.outputs, **quiet())
        self.runs.input(self.choose, self.runs, self.outputs, **quiet())
        self.head.select(self.press, self.runs, self.outputs, **private())
        self.pack.click(self.packed, [self.runs, self.form], [self.zip, *self.bench.outputs], **private())

    @property
    def outputs(self) -> list[Any]:
        """What a look changes."""
        texts = [self.head, self.problem, self.report, self.samples]
        own = [self.runs, self.done, self.use, self.form, self.zip, self.seen, self.timer]
        return [*texts, *own, *self.curves.outputs, *self.ballot.outputs]

    def opened(self, chosen: str | None, request: gr.Request) -> Updates:
        """What the tab shows when it opens: the training that was chosen, else the last one."""
        return self.shown(chosen or "", language_of(request))

    def look(self, chosen: str | None, seen: Any, request: gr.Request) -> Updates:
        """How it stands now."""
        return self.shown(chosen or "", language_of(request), tuple(seen or ()))

    def choose(self, chosen: str, request: gr.Request) -> Updates:
        """Show another training."""
        return self.shown(chosen, language_of(request))

    def press(self, pressed: gr.EventData, chosen: str, request: gr.Request) -> Updates:
        """Stop, resume or remove the training."""
        language = language_of(request)
        try:
            job_cards.act(pressed, self.context.studio.jobs)
        except StudioError as error:
            problem = parts.error(sentence(error, language, "the page of a training"))
            return {**self.shown(chosen, language), self.problem: problem}
        return self.shown("" if pressed.action == "remove" else chosen, language)

    def shown(self, chosen: str, language: str, seen: tuple[Any, ...] = ()) -> Updates:
        """Updates to how a training stands.

        Args:
            chosen: its id; the last one if there is none of that id.
            seen: what the page shows: id, state, and the last event; curves and tables are sent only if that changed.
        """
        jobs = self.context.studio.jobs
        try:
            trainings = [job for job in jobs.all() if job.kind == KIND and self._fits(job)]
        except StudioError as error:
            return {self.problem: parts.error(sentence(error, language, "the list of jobs")), self.timer: gr.skip()}
        if not trainings:
            return self._nothing()
        job = next((one for one in trainings if one.id == chosen), trainings[0])
        said = jobs.history(job)
        now = (job.id, job.state, job.attempt, said.last.get("time", 0), len(trainings))
        updates: Updates = {
            self.head: run_cards.head(job, said, language),
            self.timer: gr.Timer(active=job.state in WAITING),
        }
        if now == seen:
            return updates
        choices = [(f"{one.title} · {when(one)}", one.id) for one in trainings]
        report = reports.read(job.folder)
        offered = forms(job) if job.state == "done" else []
        updates |= {
            self.runs: gr.update(choices=choices, value=job.id, visible=True),
            self.report: reports.html(report, self.context.studio.settings, language),
            self.samples: run_cards.samples(said, language),
            self.done: gr.update(visible=bool(offered)),
            self.form: gr.update(choices=[(say(f"form_{form}", language), form) for form in offered or FORMS]),
            self.use: gr.update(visible=any(task in USED for task in able(job))),
            self.seen: now,
            **self.curves.updates(said, language),
            **self.ballot.shown(job.id, job.folder if job.state == "done" else None, language),
        }
        if not seen or seen[0] != job.id:
            updates |= {self.problem: "", self.zip: gr.update(visible=False)}
        return updates

    def _nothing(self) -> Updates:
        empty = {one: "" for one in (self.head, self.problem, self.report, self.samples)}
        hidden = {one: gr.update(visible=False) for one in (self.done, self.zip)}
        runs = gr.update(choices=[], value=None, visible=False)
        return {**empty, **hidden, self.runs: runs, self.seen: (), self.timer: gr.Timer(active=False),
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


def key(job: Job) -> str:
    """The key of the tuned model of a training, in every picker."""
    return f"{folders.PREFIX}{(job.folder / folders.TUNED).resolve()}"


def when(job: Job) -> str:
    """When it was asked for."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
