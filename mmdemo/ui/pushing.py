"""A tuned model to a repository of the Hub: its name, private or not, how far it is, and where it is then."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from mmdemo.errors import InputError
from mmdemo.runtime.reporting import reported
from mmdemo.runtime.sources.base import Progress
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import listen
from mmdemo.ui.here import is_here
from mmdemo.ui.i18n import label, language_of, say


class Pushing:
    """Folded; the token is the environment's, is shown nowhere, and only who sits at this machine may use it."""

    def __init__(self, context: Context, run: gr.Dropdown, tab: str) -> None:
        """Place it here.

        Args:
            run: the training whose model it is.
            tab: begins the names of its components.
        """
        self.context = context
        with gr.Accordion(
            label("push_title"), open=False, visible=False, elem_classes=["mm-fold"], elem_id=f"mm-{tab}-push"
        ) as self.place:
            gr.Markdown(label("push_why"), elem_classes=["mm-samples-title"])
            self.repo = gr.Textbox(
                label=label("push_repo"), placeholder="owner/name", lines=1, max_lines=1,
                elem_id=f"mm-{tab}-push-repo", elem_classes=["mm-option"],
            )  # fmt: skip
            self.private = gr.Checkbox(
                True, label=label("push_private"), elem_id=f"mm-{tab}-push-private", elem_classes=["mm-option"]
            )
            self.go = gr.Button(label("push_go"), size="sm", elem_classes=["mm-action"], elem_id=f"mm-{tab}-push-go")
            self.bench = Bench(context, "push" if tab == "train" else f"push_{tab}", lasting=False)
            self.result = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-push-result")
        given = [run, self.repo, self.private]
        self.listeners = [listen(self.go.click, self.push, given, [self.result, *self.bench.outputs])]

    @property
    def outputs(self) -> list[Any]:
        """What `shown` and `fresh` change."""
        return [self.place, self.result, self.bench.status]

    def shown(self, done: bool) -> Updates:
        """Updates to whether there is a model."""
        return {self.place: gr.update(visible=done)}

    def fresh(self) -> Updates:
        """Nothing of what was said of another model."""
        return {self.result: "", **self.bench.clear()}

    def push(self, run: str, repo: str, private: bool, request: gr.Request) -> Iterator[Updates]:
        """Upload the merged model with its card; the address of its page."""
        language, settings = language_of(request), self.context.studio.settings
        if not is_here(request):
            yield self.bench.refuse(say("push_elsewhere", language))
            return
        places: list[str] = []

        def make(now: Any) -> Iterator[Any]:
            from mmdemo.training.publish import publish

            if not (repo or "").strip():
                raise InputError("The repository has no name yet: give owner/name.")
            folder = self.context.studio.jobs.get(run).folder
            yield Progress("Packing the model")
            yield (
                yield from reported(
                    lambda report: publish(
                        folder, repo.strip(), settings, private=bool(private), report=report,
                        cancelled=now.stop.is_set,
                    )
                )
            )  # fmt: skip

        def show(last: bool) -> State:
            if not places:
                return State({} if last else {self.result: ""})
            link = f'<a href="{escape(places[0])}" target="_blank" rel="noopener">{escape(places[0])}</a>'
            return State({self.result: f'<p class="mm-from">{link}</p>'}, words=say("push_done", language))

        yield from self.bench.serve(request, make, places.append, show)
