"""Why an answer was given: a fold under each result, the same in every tab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.results import Description, Explanation, Segment, Track, Transcript
from mmdemo.tasks import caption, describe, transcribe
from mmdemo.tasks.why import Options
from mmdemo.ui import files, parts, why_cards
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import listen
from mmdemo.ui.i18n import label, language_of


@dataclass(frozen=True)
class Item:
    """One answer that can be explained: its file, how it is called in the list, what was said, and of which stretch.

    `asked`: how it came about, as fields of `tasks.why.Options`: the model, the question, …
    """

    file: Path
    title: str
    answer: str
    start: float = 0.0
    end: float = 0.0
    asked: Mapping[str, Any] = field(default_factory=dict)


def of_description(one: Description, options: describe.Options) -> list[Item]:
    """A picture and its sentence or answer; of alt text, tags and answers of another model the sentence behind them."""
    if one.error:
        return []
    asked: dict[str, Any] = {
        "model": options.model, "quantization": options.quantization, "device": options.device,
    }  # fmt: skip
    if not one.prompt:  # the model that looked also wrote
        asked |= {"question": one.question, "style": options.style, "adapter": options.adapter}
    own = not one.prompt and (one.question or options.style in ("sentence", "paragraph"))
    return [Item(Path(one.file), Path(one.file).name, one.text if own else "", asked=asked)]


def of_transcript(of: Transcript, options: transcribe.Options) -> list[Item]:
    """What was said in a recording, with its times."""
    asked = {"model": options.model, "quantization": options.quantization, "device": options.device, "heard": True}
    return [] if of.error else [_of_segment(of, one, asked) for one in of.segments if one.text.strip()]


def of_track(of: Track, options: caption.Options) -> list[Item]:
    """The scenes of a video and what is said in it, with their times."""
    scene = {"model": options.model, "quantization": options.quantization, "device": options.device}
    speech = {"model": options.speech_model, "device": options.device, "heard": True}
    return [
        _of_segment(of, one, scene if one.kind == "scene" else speech)
        for one in ([] if of.error else of.segments)
        if one.text.strip()
    ]


def _of_segment(of: Transcript | Track, one: Segment, asked: Mapping[str, Any]) -> Item:
    text = one.text.strip()
    return Item(Path(of.file), f"{parts.clock(one.start)} {text}", text, one.start, one.end, asked)


class Why:
    """The fold: which answer, its words, and where each looked."""

    def __init__(self, context: Context, tab: str) -> None:
        """Place it here; it shows once there is an answer."""
        self.context, self.tab = context, tab
        self.items = gr.State([])
        with gr.Accordion(
            label("why_title"), open=False, visible=False, elem_classes=["mm-fold"], elem_id=f"mm-{tab}-why"
        ) as fold:
            self.which = gr.Dropdown(
                label=label("why_which"), choices=[], visible=False, filterable=False, elem_id=f"mm-{tab}-why-which"
            )
            self.bench = Bench(context, f"why_{tab}", lasting=False)
            self.shown = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-why-shown")
        self.fold = fold
        given, outputs = [self.items, self.which], [self.shown, *self.bench.outputs]
        self.listeners = [
            listen(fold.expand, self.explain, given, outputs),
            listen(self.which.input, self.explain, given, outputs),
        ]

    @property
    def outputs(self) -> list[Any]:
        """The components that `filled` and `hidden` update."""
        return [self.items, self.fold, self.which, self.shown, self.bench.status]

    def hidden(self) -> Updates:
        """For a request that has only begun."""
        return {
            self.items: [],
            self.fold: gr.update(visible=False, open=False),
            self.shown: "",
            self.bench.status: "",
        }

    def filled(self, items: Sequence[Item]) -> Updates:
        """For a request that is done: its answers, the first chosen."""
        if not items:
            return self.hidden()
        choices = [(item.title, place) for place, item in enumerate(items)]
        return {
            **self.hidden(),
            self.items: list(items),
            self.fold: gr.update(visible=True, open=False),
            self.which: gr.update(choices=choices, value=0, visible=len(items) > 1),
        }

    def explain(self, items: list[Item], which: int | None, request: gr.Request) -> Iterator[Updates]:
        """Explain the chosen answer, or say that its model cannot."""
        language = language_of(request)
        if not items:
            return
        item = items[min(which or 0, len(items) - 1)]
        found: list[Explanation] = []

        def make(run: Any) -> Iterator[Any]:
            options = Options(answer=item.answer, start=item.start, end=item.end, **item.asked)
            options.checkpoints()  # says so before anything waits
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
