"""The drawer of jobs, beside every tab: what runs, waits and is done, on this device and any other."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mmdemo.errors import StudioError
from mmdemo.jobs.job import WAITING, Job
from mmdemo.ui import job_cards, parts
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.handlers import PRESSED, private, quiet
from mmdemo.ui.i18n import label, language_of, say

BEAT = 1.5
"""Seconds between two looks while a job runs or waits; nothing is looked at so often while none does."""


class Drawer:
    """The drawer and the button that opens it, which is to be rendered in the header.

    Attributes:
        done: the ids of jobs that are done; when it changes there may be new models.
    """

    def __init__(self, context: Context) -> None:
        """Place the drawer here."""
        self.context = context
        self.button = gr.Button(
            label("jobs"), size="sm", min_width=72, elem_id="mm-jobs-open", elem_classes=["mm-jobs-open"], render=False
        )
        with gr.Sidebar(
            label("jobs"), open=False, position="right", width=368, elem_id="mm-jobs", elem_classes=["mm-jobs"]
        ):
            with gr.Row(elem_classes=["mm-jobs-head"]):
                gr.Markdown(label("jobs_title"), elem_classes=["mm-jobs-title"])
                self.close = gr.Button(label("close"), size="sm", min_width=72, scale=0, elem_id="mm-jobs-close")
            self.problem = gr.HTML("", elem_classes=["mm-flat"], elem_id="mm-jobs-problem")
            self.list = gr.HTML("", js_on_load=PRESSED, elem_classes=["mm-flat"], elem_id="mm-jobs-list")
        self.seen, self.done = gr.State(""), gr.State([])
        self.timer = gr.Timer(BEAT, active=False)
        self.timer.tick(self.look, self.seen, self.outputs, **quiet())
        self.list.select(self.press, None, [*self.outputs, self.problem], **private())
        for button in (self.button, self.close):
            button.click(None, js="() => window.mmdemoJobs()", api_visibility="private")

    @property
    def outputs(self) -> list[Any]:
        """What a look changes."""
        return [self.list, self.button, self.timer, self.seen, self.done]

    def look(self, seen: str, request: gr.Request) -> Updates:
        """How the jobs stand; nothing where that is what the page shows already."""
        return self.shown(language_of(request), seen)

    def shown(self, language: str, seen: str = "") -> Updates:
        """Updates to how the jobs stand.

        Args:
            seen: what the page shows.
        """
        jobs = self.context.studio.jobs
        try:
            found = [(job, jobs.history(job)) for job in sorted(jobs.all(), key=_place)]
        except StudioError as error:
            return {self.list: parts.error(sentence(error, language, "the list of jobs")), self.timer: gr.skip()}
        html = job_cards.cards(found, language)
        if html == seen:
            return {self.seen: gr.skip()}
        busy = sum(job.state in WAITING for job, _ in found)
        words = say("jobs_running", language, count=busy) if busy else say("jobs", language)
        return {
            self.list: html,
            self.button: gr.update(value=words),
            self.timer: gr.Timer(active=busy > 0),
            self.seen: html,
            self.done: [job.id for job, _ in found if job.state == "done"],
        }

    def press(self, pressed: gr.EventData, request: gr.Request) -> Updates:
        """Stop, resume or remove the job whose button was pressed. To show one is a tab's affair."""
        language = language_of(request)
        problem = ""
        try:
            job_cards.act(pressed, self.context.studio.jobs)
        except StudioError as error:
            problem = parts.error(sentence(error, language, "the drawer of jobs"))
        return {**self.shown(language), self.problem: problem}


def _place(job: Job) -> tuple[int, float]:
    """What runs stands first, then what waits, in its order, then what has ended, the last one first."""
    if job.active:
        return 0, 0.0
    return (1, job.queued) if job.state == "queued" else (2, -job.ended)
