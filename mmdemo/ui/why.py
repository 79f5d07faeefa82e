"""Why an answer was given: a fold under each result of a model that can say so, the same in every tab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import catalog
from mmdemo.errors import StudioError
from mmdemo.results import Description, Explanation, Track, Transcript
from mmdemo.tasks.why import Options, explains
from mmdemo.ui import files, parts, why_cards
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of


@dataclass(frozen=True)
class Item:
    """One answer that can be explained: its file, how it is called in the list, what was said, and of which stretch."""

    file: Path
    title: str
    answer: str
    start: float = 0.0
    end: float = 0.0


def of_description(one: Description, style: str) -> list[Item]:
    """A picture and its sentence; of alt text, tags and answers of another model the sentence behind them."""
    said = one.text if style == "sentence" and not one.question else ""
    return [Item(Path(one.file), Path(one.file).name, said)] if not one.error else []


def of_segments(of: Transcript | Track, kind: str) -> list[Item]:
    """The scenes of a video, or what was said of a recording, with their times."""
    if of.error:
        return []
    found = [one for one in of.segments if one.kind == kind and one.text.strip()]
    return [
        Item(Path(of.file), f"{parts.clock(one.start)} {one.text.strip()}", one.text.strip(), one.start, one.end)
        for one in found
    ]


class Why:
    """The fold: which answer, its words, and where each looked."""

    def __init__(self, context: Context, tab: str) -> None:
        """Place it here; it shows once there is an answer of a model that can be explained."""
        self.context, self.tab = context, tab
        self.items, self.model = gr.State([]), gr.State("")
        with gr.Accordion(
            label("why_title"), open=False, visible=False, elem_classes=["mm-fold"], elem_id=f"mm-{tab}-why"
        ) as fold:
            self.which = gr.Dropdown(
                label=label("why_which"), choices=[], visible=False, filterable=False, elem_id=f"mm-{tab}-why-which"
            )
            self.bench = Bench(context, f"why_{tab}", lasting=False)
            self.shown = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-why-shown")
        self.fold = fold
        given, outputs = [self.items, self.which, self.model], [self.shown, *self.bench.outputs]
        self.listeners = [
            listen(fold.expand, self.explain, given, outputs),
            listen(self.which.input, self.explain, given, outputs),
        ]

    @property
    def outputs(self) -> list[Any]:
        """The components that `filled` and `hidden` update."""
        return [self.items, self.model, self.fold, self.which, self.shown, self.bench.status]

    def hidden(self) -> Updates:
        """For a request that has only begun."""
        return {
            self.items: [],
            self.fold: gr.update(visible=False, open=False),
            self.shown: "",
            self.bench.status: "",
        }

    def filled(self, items: Sequence[Item], model: str) -> Updates:
        """For a request that is done: its answers, the first chosen; nothing where the model cannot say why."""
        try:
            able = explains(catalog.get(model))
        except StudioError:  # the model was removed meanwhile
            able = False
        if not items or not able:
            return self.hidden()
        choices = [(item.title, place) for place, item in enumerate(items)]
        return {
            **self.hidden(),
            self.items: list(items),
            self.model: model,
            self.fold: gr.update(visible=True, open=False),
            self.which: gr.update(choices=choices, value=0, visible=len(items) > 1),
        }

    def explain(self, items: list[Item], which: int | None, model: str, request: gr.Request) -> Iterator[Updates]:
        """Explain the chosen answer."""
        language = language_of(request)
        if not items:
            return
        item = items[min(which or 0, len(items) - 1)]
        found: list[Explanation] = []

        def make(run: Any) -> Iterator[Any]:
            options = Options(model=model, answer=item.answer, start=item.start, end=item.end)
            return self.context.studio.run("why", [item.file], options, run.stop, run.who)

        def show(last: bool) -> State:
            if not found:
                return State({self.shown: ""})
            return State({self.shown: why_cards.html(found[-1], self.url(found[-1]), language)})

        yield from self.bench.serve(request, make, found.append, show)

    def url(self, of: Explanation) -> str:
        """Where a small copy of a picture is; empty of a video, whose frames are in the explanation."""
        if of.sights.times or not of.sights.pictures:
            return ""
        small = files.small_copy(Path(of.file), self.context.studio.settings)
        return parts.file_url(small) if small else ""
