"""Trying a tuned classifier where its training is shown: a text, a picture or a recording in, classes or names out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.errors import InputError
from mmdemo.results import Classification
from mmdemo.tasks import classify
from mmdemo.ui import class_cards, media_cards
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of
from mmdemo.ui.taking import key

READS, LOOKS, HEARS = "classify-text", "classify", "classify-audio"
"""What a classifier takes, by what its row can do."""


class Trying:
    """The panel; hidden where the training's model is no classifier."""

    def __init__(self, context: Context, run: gr.Dropdown, tab: str) -> None:
        """Place it here.

        Args:
            run: the training whose model is tried.
            tab: begins the names of its components.
        """
        self.context = context
        with gr.Column(visible=False, elem_classes=["mm-view"], elem_id=f"mm-{tab}-try") as self.place:
            gr.Markdown(label("try_title"), elem_classes=["mm-samples-title"])
            self.text = gr.Textbox(
                label=label("try_text"), lines=2, max_lines=8, visible=False, elem_id=f"mm-{tab}-try-text",
                elem_classes=["mm-option"],
            )  # fmt: skip
            self.drop = gr.File(
                label=label("try_file"), file_count="single", type="filepath", height=120, visible=False,
                elem_classes=["mm-drop"], elem_id=f"mm-{tab}-try-drop",
            )  # fmt: skip
            self.go = gr.Button(
                label("try_go"), size="sm", visible=False, elem_classes=["mm-action"], elem_id=f"mm-{tab}-try-go"
            )
            self.bench = Bench(context, "try" if tab == "train" else f"try_{tab}", lasting=False)
            self.result = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-try-result")
        outputs = [self.drop, self.result, *self.bench.outputs]
        self.listeners = [
            listen(self.go.click, self.read, [run, self.text], outputs),
            listen(self.text.submit, self.read, [run, self.text], outputs),
            listen(self.drop.upload, self.given, [run, self.drop], outputs),
        ]

    @property
    def outputs(self) -> list[Any]:
        """What `shown` and `fresh` change."""
        return [self.place, self.text, self.drop, self.go, self.result, self.bench.status]

    def shown(self, can: tuple[str, ...]) -> Updates:
        """Updates to what a training's model takes.

        Args:
            can: what the model can do; nothing while there is none.
        """
        reads, opens = READS in can, LOOKS in can or HEARS in can
        return {
            self.place: gr.update(visible=reads or opens),
            self.text: gr.update(visible=reads),
            self.go: gr.update(visible=reads),
            self.drop: gr.update(visible=opens),
        }

    def fresh(self) -> Updates:
        """Nothing of what another model said."""
        return {self.result: "", **self.bench.clear()}

    def read(self, run: str, text: str, request: gr.Request) -> Iterator[Updates]:
        """Classify what was written."""
        yield from self._work(run, [], text or "", request)

    def given(self, run: str, given: Any, request: gr.Request) -> Iterator[Updates]:
        """Classify what was dropped."""
        path = given[0] if isinstance(given, list) and given else given
        if path:
            yield from self._work(run, [Path(path)], "", request)

    def _work(self, run: str, files: list[Path], text: str, request: gr.Request) -> Iterator[Updates]:
        language, settings = language_of(request), self.context.studio.settings
        found: list[Classification] = []

        def make(now: Any) -> Iterator[Any]:
            if not files and not text.strip():
                raise InputError("There is nothing to classify: give a text or files.")
            options = classify.Options(model=key(self.context.studio.jobs.get(run)), text=text)
            return self.context.studio.run("classify", files, options, now.stop, now.who)

        def show(last: bool) -> State:
            updates: Updates = {self.drop: None} if last else {}
            if found:
                media = "".join(media_cards.small(file, settings, language) for file in files)
                updates[self.result] = class_cards.html(found[-1], media, language)
            return State(updates)

        yield from self.bench.serve(request, make, found.append, show)
