"""Search pictures by text, and find the text of a picture, in the space of two towers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.results import Nearness
from mmdemo.tasks.align import STARTER, Options
from mmdemo.ui import align_cards, files
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Area, Look, drop_area, intro


class Align:
    """The sub-tab: files, texts, the model, and what is near what."""

    def __init__(self, context: Context) -> None:
        """Place it here."""
        self.context = context
        self.paths = gr.State([])
        with gr.Row(elem_classes=["mm-panel"]):
            with gr.Column(scale=2, min_width=300, elem_classes=["mm-input"]):
                self.area: Area = drop_area("align", "drop_align", files.PICTURES)
                self.folder = gr.UploadButton(
                    label("align_folder"), file_count="directory", size="sm", elem_id="mm-align-folder",
                    elem_classes=["mm-action"],
                )  # fmt: skip
                self.texts = gr.Textbox(
                    label=label("align_texts"), info=label("align_texts_why"), lines=2, max_lines=8,
                    elem_id="mm-align-texts", elem_classes=["mm-question"],
                )  # fmt: skip
                self.model = gr.Dropdown(
                    [], value="", label=label("align_model"), allow_custom_value=True, elem_id="mm-align-model",
                    elem_classes=["mm-option"],
                )  # fmt: skip
                self.go = gr.Button(
                    label("align_go"), variant="primary", elem_classes=["mm-ask"], elem_id="mm-align-go"
                )
            with gr.Column(scale=3, min_width=300, elem_classes=["mm-output"]):
                self.bench = Bench(context, "align")
                self.result = gr.HTML("", elem_classes=["mm-result", "mm-flat"], elem_id="mm-align-result")
        self.looks = [
            intro("intro_align", self.result),
            Look(self.offered, self.model, [self.model], again=True),
        ]
        self.listeners = self._wire()

    def _wire(self) -> list[Any]:
        outputs = [self.area.drop, self.paths, self.result, *self.bench.outputs]
        chosen = [self.texts, self.model]
        return [
            listen(self.area.drop.upload, self.given, [self.area.drop, *chosen], outputs),
            listen(self.folder.upload, self.given, [self.folder, *chosen], outputs),
            listen(self.go.click, self.again, [self.paths, *chosen], outputs),
            *(listen(one.click, self.tried(path), chosen, outputs) for one, path in self.area.samples.items()),
        ]

    def offered(self, model: str) -> Any:
        """The models of two towers that are here; the chosen one stays, else one that was trained here comes first."""
        there = self.models()
        return gr.update(choices=there, value=model or next(iter(key for _, key in there), ""))

    def models(self) -> list[tuple[str, str]]:
        """The models of two towers that are here: title and key, the starter's last."""
        there = [(row.spec.title, row.spec.key) for row in self.context.studio.rows() if "align" in row.spec.tasks]
        return sorted(there, key=lambda one: one[1] == STARTER)

    def given(self, given: Any, texts: str, model: str, request: gr.Request) -> Iterator[Updates]:
        """Take files, and compare them at once if there is a text."""
        paths = [given] if isinstance(given, str) else list(given or [])
        if paths:
            yield from self.work([Path(path) for path in paths], texts, model, request)

    def tried(self, path: Path) -> Any:
        """A handler that takes all samples."""

        def sample(texts: str, model: str, request: gr.Request) -> Iterator[Updates]:
            others = [one for one in self.area.samples.values() if one != path]
            yield from self.work([path, *others], texts, model, request)

        return sample

    def again(self, paths: list[str], texts: str, model: str, request: gr.Request) -> Iterator[Updates]:
        """Compare the same files with other texts."""
        yield from self.work([Path(path) for path in paths], texts, model, request)

    def work(self, paths: list[Path], texts: str, model: str, request: gr.Request) -> Iterator[Updates]:
        """Run the task and yield what is near what."""
        language = language_of(request)
        if not paths:
            yield self.bench.refuse(say("no_files", language))
            return
        kept: Updates = {self.area.drop: None, self.paths: [str(path) for path in paths]}
        if not (texts or "").strip():
            words = say("align_ready", language, count=len(paths))
            yield {**kept, **self.bench.note(words)}
            return
        yield kept
        found: dict[str, Nearness] = {}

        def make(run: Any) -> Iterator[Any]:
            options = Options(model=model or "", texts=texts)
            return self.context.studio.run("align", paths, options, run.stop, run.who)

        def fold(one: Nearness) -> None:
            found[one.file] = one

        def show(last: bool) -> State:
            rows = [found[str(path)] for path in paths if str(path) in found]
            shown = {self.result: align_cards.html(rows, self.context.studio.settings, language)} if rows else {}
            return State(shown, len(rows) / len(paths), (len(rows), len(paths)))

        yield from self.bench.serve(request, make, fold, show)
