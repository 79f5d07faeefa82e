"""Pieces that the tabs share: the drop area with its samples, the advanced options, looks at how things stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.ui import files, parts
from mmdemo.ui.form import Form
from mmdemo.ui.handlers import private
from mmdemo.ui.i18n import label, language_of, say


@dataclass(frozen=True)
class Area:
    """Where files come in: the drop area, and a button for each sample."""

    drop: gr.File
    samples: dict[gr.Button, Path]


@dataclass(frozen=True)
class Look:
    """What a tab shows before anyone asks: `handler` runs when the page opens, if `again` also when the tab does."""

    handler: Callable[..., Any]
    inputs: Any
    outputs: Any
    again: bool = False


def drop_area(tab: str, title: str, endings: set[str], many: bool = True) -> Area:
    """Place the drop area of a tab. It takes any file: what a file is, its content says, and the studio looks."""
    drop = gr.File(
        label=label(title),
        file_count="multiple" if many else "single",
        type="filepath",
        height=168,
        elem_classes=["mm-drop"],
        elem_id=f"mm-{tab}-drop",
    )
    buttons: dict[gr.Button, Path] = {}
    there = files.samples(endings)
    if there:
        with gr.Row(elem_classes=["mm-samples"]):
            gr.Markdown(label("samples"), elem_classes=["mm-samples-title"])
            for path in there:
                icon = path if endings == files.PICTURES else None
                button = gr.Button(path.stem, icon=icon, size="sm", min_width=80, elem_classes=["mm-sample"])
                buttons[button] = path
    return Area(drop, buttons)


def advanced(form: Form) -> gr.Accordion:
    """Place the options most people never need, with a way back to their defaults."""
    with gr.Accordion(label("more"), open=False, elem_classes=["mm-fold"]) as fold:
        form.place(advanced=True)
        restore = gr.Button(label("defaults"), size="sm", elem_id=f"mm-{form.task}-defaults")
    restore.click(lambda: form.defaults(), None, form.inputs, **private(queue=False))
    return fold


def intro(key: str, place: Any) -> Look:
    """What to do, in the person's language, where the first result will be."""

    def words(request: gr.Request) -> str:
        return parts.empty(say(key, language_of(request)))

    return Look(words, None, place)
