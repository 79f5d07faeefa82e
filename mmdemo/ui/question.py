"""A question in writing, or spoken: what was heard stands in the box, to be changed before it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.results import Transcript
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import private
from mmdemo.ui.i18n import label, language_of, say


class Spoken:
    """The question box, its microphone and its button."""

    def __init__(self, context: Context) -> None:
        """Place them here."""
        self.context = context
        with gr.Column(elem_classes=["mm-plain"]):
            self.question = gr.Textbox(
                label=label("question"), placeholder=label("question_hint"), lines=1, max_lines=4,
                elem_classes=["mm-question"], elem_id="mm-describe-question",
            )  # fmt: skip
            self.bench = Bench(context, "question", lasting=False)
            with gr.Row(elem_classes=["mm-ask-row"]):
                self.microphone = gr.Audio(
                    sources=["microphone"], type="filepath", label=label("speak_question"), editable=False,
                    buttons=[], elem_classes=["mm-microphone"], elem_id="mm-describe-microphone", scale=3,
                    min_width=200,
                )  # fmt: skip
                self.ask = gr.Button(
                    label("ask"), elem_classes=["mm-ask"], elem_id="mm-describe-ask", scale=1, min_width=96
                )
        outputs = [self.question, *self.bench.outputs]
        self.microphone.stop_recording(self.listen, self.microphone, outputs, **private())

    def listen(self, recording: str | None, request: gr.Request) -> Iterator[Updates]:
        """Write down a spoken question; the box keeps what was written until something is heard."""
        if not recording:
            return
        language = language_of(request)
        heard: list[str] = []

        def make(run: Any) -> Iterator[Any]:
            return self.context.studio.run("transcribe", [Path(recording)], {}, run.stop, run.who)

        def fold(one: Transcript) -> None:
            heard[:] = [one.text] if one.text else []

        def show(last: bool) -> State:
            updates: Updates = {self.question: heard[0]} if heard else {}
            return State(updates, words=say("heard_question" if heard else "no_speech", language))

        yield from self.bench.serve(request, make, fold, show)
