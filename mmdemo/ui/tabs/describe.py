"""The tab that describes pictures and answers questions about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import catalog
from mmdemo.results import Description
from mmdemo.tasks.describe import Options
from mmdemo.ui import files, keep, parts, ways, why
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import listen, private
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Area, Look, advanced, drop_area, intro
from mmdemo.ui.keep import Keep
from mmdemo.ui.question import Spoken
from mmdemo.ui.why import Why


@dataclass
class Work:
    """One request: its pictures and what was said of them so far."""

    paths: list[Path]
    options: Options = field(default_factory=Options)
    found: dict[str, Description] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def results(self) -> list[Description]:
        """What is finished, in the order of the pictures."""
        there = [self.found.get(str(path)) for path in self.paths]
        return [one for one in there if one is not None and one.done]


class Describe:
    """The tab: what it shows and what its controls do."""

    name = "describe"

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        self.form = Form.of("describe")
        self.paths = gr.State([])
        with gr.Row(elem_classes=["mm-panel"]):
            with gr.Column(scale=2, min_width=300, elem_classes=["mm-input"]):
                self.area: Area = drop_area("describe", "drop_images", files.PICTURES)
                self.form.place(advanced=False)
                self.go = gr.Button(
                    label("describe_again"), variant="primary", elem_classes=["mm-go"], elem_id="mm-describe-go"
                )
                self.spoken = Spoken(context)
                with gr.Accordion(label("camera"), open=False, elem_classes=["mm-fold"]):
                    self.camera = gr.Image(
                        sources=["webcam"], type="filepath", label=label("camera"), elem_id="mm-describe-camera",
                        webcam_options=gr.WebcamOptions(mirror=False),
                    )  # fmt: skip
                advanced(self.form)
            with gr.Column(scale=3, min_width=300, elem_classes=["mm-output"]):
                self.bench = Bench(context, "describe")
                self.result = gr.HTML(
                    "",
                    elem_classes=["mm-result", "mm-flat"],
                    elem_id="mm-describe-result",
                )
                with gr.Accordion(label("prompt_given"), open=False, visible=False, elem_classes=["mm-fold"]) as fold:
                    self.prompt = gr.Textbox(
                        label=label("prompt_given"), info=label("prompt_why"), lines=4, max_lines=16,
                        interactive=False, elem_id="mm-describe-prompt", buttons=["copy"],
                    )  # fmt: skip
                self.prompt_fold = fold
                with gr.Row(elem_classes=["mm-downloads"]):
                    self.json = gr.DownloadButton(label("download_json"), size="sm", visible=False)
                    self.csv = gr.DownloadButton(label("download_csv"), size="sm", visible=False)
                self.why = Why(context, "describe")
                self.keep = Keep(context, "describe")
        self.model, self.style = self.form.components["model"], self.form.components["style"]
        self.looks = [
            intro("intro_describe", self.result),
            Look(styles, [self.model, self.style], self.style),
            ways.follow(self.form, context),
        ]
        self.listeners = self._wire()

    def _wire(self) -> list[Any]:
        outputs = [self.area.drop, self.paths, self.result, self.prompt, self.prompt_fold, self.json, self.csv]
        outputs += [*self.why.outputs, *self.keep.outputs, *self.bench.outputs]
        options = self.form.inputs
        question = [self.spoken.question, self.paths, *options]
        self.model.change(styles, [self.model, self.style], self.style, **private())
        return [
            *self.why.listeners,
            listen(self.area.drop.upload, self.dropped, [self.area.drop, *options], outputs),
            listen(self.camera.input, self.dropped, [self.camera, *options], outputs),
            listen(self.go.click, self.again, [self.paths, *options], outputs),
            listen(self.spoken.ask.click, self.asked, question, outputs),
            listen(self.spoken.question.submit, self.asked, question, outputs),
            *(listen(button.click, self.tried(path), options, outputs) for button, path in self.area.samples.items()),
        ]

    def dropped(self, given: Any, *values: Any) -> Iterator[Updates]:
        """Describe pictures that were just given."""
        given = [given] if isinstance(given, str) else given
        if given:
            yield from self.work([Path(path) for path in given], "", values)

    def tried(self, path: Path) -> Any:
        """A handler that describes a sample."""

        def sample(*values: Any) -> Iterator[Updates]:
            yield from self.work([path], "", values)

        return sample

    def again(self, paths: list[str], *values: Any) -> Iterator[Updates]:
        """Describe the same pictures with other options."""
        yield from self.work([Path(path) for path in paths], "", values)

    def asked(self, question: str, paths: list[str], *values: Any) -> Iterator[Updates]:
        """Answer a question about the same pictures."""
        if not question.strip():
            yield self.bench.refuse(say("no_question", language_of(values[-1])))
            return
        yield from self.work([Path(path) for path in paths], question.strip(), values)

    def work(self, paths: list[Path], question: str, values: Sequence[Any]) -> Iterator[Updates]:
        """Run the task and yield what the tab shows."""
        *chosen, request = values
        language = language_of(request)
        if not paths:
            yield self.bench.refuse(say("no_files", language))
            return
        work = Work(paths)
        yield {
            self.area.drop: None,
            self.paths: [str(path) for path in paths],
            **self.why.hidden(),
            **self.keep.hidden(),
        }

        def make(run: Any) -> Iterator[Any]:
            options = replace(self.form.read(chosen), question=question)
            work.options = options
            return self.context.studio.run("describe", work.paths, options, run.stop, run.who)

        def fold(one: Description) -> None:
            work.found[one.file] = one

        yield from self.bench.serve(request, make, fold, lambda last: self.show(work, language, last))

    def show(self, work: Work, language: str, last: bool) -> State:
        """The result column as it stands."""
        done = work.results()
        many = len(work.paths) > 1
        updates: Updates = {self.result: self.render(work, language)}
        if last:
            prompt = next((one.prompt for one in done if one.prompt), "")
            updates |= {self.prompt_fold: gr.update(visible=bool(prompt)), self.prompt: prompt}
            asked = [item for one in done for item in why.of_description(one, work.options)]
            updates |= self.why.filled(asked)
            updates |= self.keep.filled([item for one in done for item in keep.of_description(one)])
            name = "descriptions" if many else work.paths[0].stem
            for button, ending, text in ((self.json, "json", files.as_json), (self.csv, "csv", files.as_csv)):
                updates[button] = (
                    gr.update(value=files.write(f"{name}.{ending}", text(done)), visible=True)
                    if done
                    else gr.update(visible=False)
                )
        share = len(done) / len(work.paths) if many else None
        return State(updates, share, (len(done), len(work.paths)) if many else None)

    def render(self, work: Work, language: str) -> str:
        """The card of one picture, or the gallery of many."""
        if len(work.paths) == 1:
            path = work.paths[0]
            one = work.found.get(str(path)) or Description(str(path), "", parts.NOTHING, done=False)
            return parts.card(one, self.url(work, path), language)
        there = [work.found.get(str(path)) for path in work.paths]
        ready = [self.url(work, path) if one else "" for path, one in zip(work.paths, there, strict=True)]
        return parts.gallery(there, ready, [path.name for path in work.paths], language)

    def url(self, work: Work, path: Path) -> str:
        """Where the page finds a small copy of a picture; empty if it cannot be read."""
        if str(path) not in work.pictures:
            small = files.small_copy(path, self.context.studio.settings)
            work.pictures[str(path)] = parts.file_url(small) if small else ""
        return work.pictures[str(path)]


def styles(model: str, style: str, request: gr.Request) -> Any:
    """Only what the chosen model can write; the style that was chosen stays, where the model has it."""
    able = catalog.get(model).styles
    offered = [(say(f"choice_{one}", language_of(request)), one) for one in able]
    return gr.update(choices=offered, value=style if style in able or not able else able[0])
