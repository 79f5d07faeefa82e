"""One kind of job on the page: which of them is shown, how it stands, what can be done with it. What more is shown of a
training or a search, its own view says.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import gradio as gr

from mmdemo.errors import StudioError
from mmdemo.jobs import Job
from mmdemo.jobs.events import History
from mmdemo.jobs.job import WAITING
from mmdemo.ui import job_cards, parts, run_cards
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.handlers import PRESSED, private, quiet
from mmdemo.ui.i18n import label, language_of

BEAT = 2.0
"""Seconds between two looks at a job that runs or waits."""
Seen = tuple[Any, ...]


class JobView(ABC):
    """One job at a time; which one is chosen from all of its kind."""

    kind: str
    where: str
    """For the program's log."""
    runs: gr.Dropdown
    head: gr.HTML
    problem: gr.HTML
    seen: gr.State
    timer: gr.Timer

    def __init__(self, context: Context, fits: Callable[[Job], bool] = lambda job: True) -> None:
        """Place nothing yet.

        Args:
            fits: whether a job is one of those that are shown here.
        """
        self.context, self._fits = context, fits

    def place(self, words: str, name: str, shown: bool = False) -> None:
        """Place the choice, the head and the line of problems here.

        Args:
            words: key of the choice's label.
            name: begins the names of the elements.
            shown: whether the choice is there while there is no job.
        """
        self.runs = gr.Dropdown(
            [], label=label(words), visible=shown, filterable=False, elem_id=f"mm-{name}-runs",
            elem_classes=["mm-option"],
        )  # fmt: skip
        self.head = gr.HTML("", js_on_load=PRESSED, elem_classes=["mm-flat"], elem_id=f"mm-{name}-head")
        self.problem = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{name}-problem")

    def watch(self) -> None:
        """Look again and again, once all is placed."""
        self.seen = gr.State(())
        self.timer = gr.Timer(BEAT, active=False)
        self.timer.tick(self.look, [self.runs, self.seen], self.outputs, **quiet())
        self.runs.input(self.choose, self.runs, self.outputs, **quiet())
        self.head.select(self.press, self.runs, self.outputs, **private())

    @property
    def outputs(self) -> list[Any]:
        """What a look changes."""
        return [self.runs, self.head, self.problem, self.seen, self.timer]

    def opened(self, chosen: str | None, request: gr.Request) -> Updates:
        """What the tab shows when it opens: the job that was chosen, else the last one."""
        return self.shown(chosen or "", language_of(request))

    def look(self, chosen: str | None, seen: Any, request: gr.Request) -> Updates:
        """How it stands now."""
        return self.shown(chosen or "", language_of(request), tuple(seen or ()))

    def choose(self, chosen: str, request: gr.Request) -> Updates:
        """Show another job."""
        return self.shown(chosen, language_of(request))

    def press(self, pressed: gr.EventData, chosen: str, request: gr.Request) -> Updates:
        """Stop, resume or remove the job."""
        language = language_of(request)
        try:
            job_cards.act(pressed, self.context.studio.jobs)
        except StudioError as error:
            return {**self.shown(chosen, language), self.problem: parts.error(sentence(error, language, self.where))}
        return self.shown("" if pressed.action == "remove" else chosen, language)

    def shown(self, chosen: str, language: str, seen: Seen = ()) -> Updates:
        """Updates to how a job stands.

        Args:
            chosen: its id; the last one if there is none of that id.
            seen: what the page shows; what is large is sent only if that changed.
        """
        jobs = self.context.studio.jobs
        try:
            there = [job for job in jobs.all() if job.kind == self.kind and self._fits(job)]
        except StudioError as error:
            return {self.problem: parts.error(sentence(error, language, "the list of jobs")), self.timer: gr.skip()}
        if not there:
            return {self.seen: (), self.timer: gr.Timer(active=False), **self.nothing()}
        job = next((one for one in there if one.id == chosen), there[0])
        said = jobs.history(job)
        now = (job.id, job.state, job.attempt, len(there), *self.state(job, said))
        updates: Updates = {
            self.head: run_cards.head(job, said, language),
            self.timer: gr.Timer(active=job.state in WAITING),
        }
        if now == seen:
            return updates
        choices = [(f"{one.title} · {when(one)}", one.id) for one in there]
        updates |= {self.runs: gr.update(choices=choices, value=job.id, visible=True), self.seen: now}
        updates |= self.details(job, said, language)
        if not seen or seen[0] != job.id:
            updates |= {self.problem: "", **self.fresh(job)}
        return updates

    @abstractmethod
    def nothing(self) -> Updates:
        """Updates where there is no job."""

    @abstractmethod
    def state(self, job: Job, said: History) -> Seen:
        """What else tells that there is something new to show."""

    @abstractmethod
    def details(self, job: Job, said: History, language: str) -> Updates:
        """What is shown of a job besides its head."""

    def fresh(self, job: Job) -> Updates:
        """What goes away when another job is shown."""
        return {}


def when(job: Job) -> str:
    """When it was asked for."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
