"""The tab that writes down what is said, with its times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.results import Transcript
from mmdemo.tasks.transcribe import Options
from mmdemo.ui import downloads, files, keep, parts, timeline, ways, why
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Area, advanced, drop_area, intro
from mmdemo.ui.keep import Keep
from mmdemo.ui.why import Why


@dataclass
class Work:
    """One request: its recordings and what was heard in them so far."""

    paths: list[Path]
    options: Options = field(default_factory=Options)
    found: dict[str, Transcript] = field(default_factory=dict)


class Speech:
    """The tab: what it shows and what its controls do."""

    name = "speech"

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        self.form = Form.of("transcribe")
        self.paths = gr.State([])
        with gr.Row(elem_classes=["mm-panel"]):
            with gr.Column(scale=2, min_width=300, elem_classes=["mm-input"]):
                self.area: Area = drop_area("speech", "drop_speech", files.SOUNDS)
                self.microphone = gr.Audio(
                    sources=["microphone"], type="filepath", label=label("microphone"), editable=False, buttons=[],
                    elem_classes=["mm-microphone"], elem_id="mm-speech-microphone",
                )  # fmt: skip
                self.form.place(advanced=False)
                self.go = gr.Button(
                    label("transcribe_go"), variant="primary", elem_classes=["mm-go"], elem_id="mm-speech-go"
                )
                advanced(self.form)
            with gr.Column(scale=3, min_width=300, elem_classes=["mm-output"]):
                self.bench = Bench(context, "speech")
                self.result = gr.HTML("", elem_classes=["mm-result", "mm-flat"], elem_id="mm-speech-result")
                self.downloads = downloads.place("speech")
                self.why = Why(context, "speech")
                self.keep = Keep(context, "speech")
        self.looks = [intro("intro_speech", self.result), ways.follow(self.form, context)]
        self.listeners = self._wire()

    def _wire(self) -> list[Any]:
        outputs = [self.area.drop, self.paths, self.result, *self.downloads.values(), *self.keep.outputs]
        outputs += [*self.why.outputs, *self.bench.outputs]
        options = self.form.inputs
        return [
            *self.why.listeners,
            listen(self.area.drop.upload, self.given, [self.area.drop, *options], outputs),
            listen(self.microphone.stop_recording, self.given, [self.microphone, *options], outputs),
            listen(self.go.click, self.given, [self.paths, *options], outputs),
            *(listen(button.click, self.tried(path), options, outputs) for button, path in self.area.samples.items()),
        ]

    def given(self, given: Any, *values: Any) -> Iterator[Updates]:
        """Transcribe recordings that were just given, or the same again."""
        paths = [given] if isinstance(given, str) else given
        if paths:
            yield from self.work([Path(path) for path in paths], values)
        else:
            yield self.bench.refuse(say("no_files", language_of(values[-1])))

    def tried(self, path: Path) -> Any:
        """A handler that transcribes a sample."""

        def sample(*values: Any) -> Iterator[Updates]:
            yield from self.work([path], values)

        return sample

    def work(self, paths: list[Path], values: Sequence[Any]) -> Iterator[Updates]:
        """Run the task and yield what the tab shows."""
        *chosen, request = values
        language = language_of(request)
        work = Work(paths)
        yield {
            self.area.drop: None,
            self.paths: [str(path) for path in paths],
            **downloads.hidden(self.downloads),
            **self.why.hidden(),
            **self.keep.hidden(),
        }

        def make(run: Any) -> Iterator[Any]:
            options = self.form.read(chosen)
            work.options = options
            return self.context.studio.run("transcribe", paths, options, run.stop, run.who)

        def fold(one: Transcript) -> None:
            work.found[one.file] = one

        yield from self.bench.serve(request, make, fold, lambda last: self.show(work, language, last))

    def show(self, work: Work, language: str, last: bool) -> State:
        """The result column as it stands."""
        there = [(path, work.found[str(path)]) for path in work.paths if str(path) in work.found]
        html = "".join(
            timeline.transcript(one, parts.file_url(files.public(path)), path.name, language) for path, one in there
        )
        updates: Updates = {self.result: html}
        whole = [(path, one) for path, one in there if one.done and one.segments]
        if last and len(work.paths) == 1 and whole:
            updates |= downloads.filled(self.downloads, whole[0][1], whole[0][0].stem)
        elif last and whole:
            updates |= downloads.several(self.downloads, [(path.stem, one) for path, one in whole])
        if last:
            many = len(work.paths) > 1
            said = [item for _, one in whole for item in why.of_transcript(one, work.options)]
            updates |= self.why.filled(said)
            updates |= self.keep.filled([item for _, one in whole for item in keep.of_segments(one, many)])
        heard = sum(1.0 if one.done else one.progress for _, one in there)
        if len(work.paths) > 1:
            done = sum(one.done for _, one in there)  # also the silent ones, and those that could not be read
            return State(updates, heard / len(work.paths), (done, len(work.paths)))
        return State(updates, heard or None)
