"""Correct what a model said and keep it to train on: a fold under each result, the same in every tab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.datasets.corrections import Corrections, Kept
from mmdemo.errors import StudioError
from mmdemo.results import Description, Segment, Track, Transcript
from mmdemo.ui import parts
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.handlers import private, quiet
from mmdemo.ui.i18n import label, language_of, say

DEFAULT = "corrections"
"""The set that is offered where there is none yet."""
TASKS = {"describe": "image-to-text", "scene": "video-text-to-text", "speech": "automatic-speech-recognition"}


@dataclass(frozen=True)
class Item:
    """One result that can be corrected: its file, how it is called in the list, and what is to be kept of it."""

    file: Path
    title: str
    kept: Kept


def of_description(one: Description) -> list[Item]:
    """A picture and its sentence, or a question and its answer."""
    task = "image-text-to-text" if one.question else TASKS["describe"]
    kept = Kept("", one.text, one.text, one.provenance.model, task, question=one.question)
    return [Item(Path(one.file), Path(one.file).name, kept)] if not one.error else []


def of_segments(of: Transcript | Track, many: bool = False) -> list[Item]:
    """A segment each: with its times, what was heard or seen in it.

    Args:
        many: other files are in the list too, so that each line needs its file's name.
    """
    return [_of_segment(of, one, many) for one in of.segments if one.text.strip()] if not of.error else []


def _of_segment(of: Transcript | Track, one: Segment, many: bool) -> Item:
    words = one.text.strip()
    name = f"{Path(of.file).name} · " if many else ""
    short = words if len(words) <= 60 else f"{words[:59]}…"
    kept = Kept(
        "", words, words, of.provenance.model, TASKS[one.kind], language=of.language if one.kind == "speech" else "",
        start=round(one.start, 3), end=round(one.end, 3),
    )  # fmt: skip
    return Item(Path(of.file), f"{name}{parts.clock(one.start)} {short}", kept)


class Keep:
    """The fold: which result, its text to be edited, the data set, and the button."""

    def __init__(self, context: Context, tab: str) -> None:
        """Place it here; it shows once there is a result."""
        self.own = Corrections(context.studio.settings)
        self.tab = tab
        self.items = gr.State([])
        with gr.Accordion(
            label("keep_title"), open=False, visible=False, elem_classes=["mm-fold"], elem_id=f"mm-{tab}-keep"
        ) as fold:
            self.which = gr.Dropdown(label=label("keep_which"), choices=[], elem_id=f"mm-{tab}-keep-which")
            self.text = gr.Textbox(
                label=label("keep_text"), info=label("keep_why"), lines=2, max_lines=8, elem_id=f"mm-{tab}-keep-text"
            )
            with gr.Row(elem_classes=["mm-keep"]):
                self.set = gr.Dropdown(
                    label=label("keep_set"), choices=[], allow_custom_value=True, elem_id=f"mm-{tab}-keep-set"
                )
                self.go = gr.Button(label("keep_go"), elem_classes=["mm-action"], elem_id=f"mm-{tab}-keep-go")
            self.said = gr.HTML("", elem_classes=["mm-flat"], elem_id=f"mm-{tab}-keep-said")
        self.fold = fold
        self.which.input(self.choose, [self.items, self.which], [self.text, self.said], **quiet())
        given = [self.items, self.which, self.text, self.set]
        self.go.click(self.keep, given, [*given, self.said], **private())

    @property
    def outputs(self) -> list[Any]:
        """The components that `filled` and `hidden` update."""
        return [self.items, self.fold, self.which, self.text, self.set, self.said]

    def hidden(self) -> Updates:
        """For a request that has only begun."""
        return {self.items: [], self.fold: gr.update(visible=False), self.said: ""}

    def filled(self, items: Sequence[Item]) -> Updates:
        """For a request that is done: its results, the first chosen."""
        if not items:
            return self.hidden()
        names = self.own.names() or [DEFAULT]
        return {
            self.items: list(items),
            self.fold: gr.update(visible=True),
            self.which: self._which(items, 0),
            self.text: items[0].kept.after,
            self.set: gr.update(choices=names, value=names[0]),
            self.said: "",
        }

    def choose(self, items: list[Item], which: int | None) -> tuple[Any, str]:
        """The text of another result."""
        return (items[which].kept.after if which is not None and which < len(items) else ""), ""

    def keep(self, items: list[Item], which: int | None, text: str, name: str, request: gr.Request) -> Updates:
        """Put the edited pair into the set; the next result is chosen, and what was kept is marked in the list."""
        language = language_of(request)
        if which is None or which >= len(items):
            return {self.said: parts.error(say("no_files", language))}
        item = items[which]
        try:
            version = self.own.keep(name or "", item.file, _edited(item.kept, text))
            count = len(self.own.rows(name))
        except (StudioError, OSError) as error:
            return {self.said: parts.error(sentence(error, language, f"keeping in {self.tab}"))}
        title = item.title if item.title.startswith("✓ ") else f"✓ {item.title}"
        new = [*items[:which], Item(item.file, title, _edited(item.kept, text)), *items[which + 1 :]]
        at = min(which + 1, len(new) - 1)
        said = say("kept", language, name=name.strip(), count=count, version=version)
        return {
            self.items: new,
            self.which: self._which(new, at),
            self.text: new[at].kept.after,
            self.set: gr.update(choices=self.own.names(), value=name.strip()),
            self.said: parts.note(said),
        }

    def _which(self, items: Sequence[Item], at: int) -> Any:
        choices = [(item.title, place) for place, item in enumerate(items)]
        return gr.update(choices=choices, value=at, visible=len(items) > 1)


def _edited(kept: Kept, text: str) -> Kept:
    return replace(kept, after=(text or "").strip())
