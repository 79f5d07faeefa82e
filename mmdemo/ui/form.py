"""An options dataclass as components: its fields are the form, and by their names the parameters of the API.

What a control is, the field alone says: its kind, its bounds and choices, the task that a checkpoint named here must be
able to do (`Meta.task`), and where on the page it lies (`Meta.place`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_type_hints

import gradio as gr

from mmdemo import catalog
from mmdemo.catalog import Task
from mmdemo.errors import StudioError
from mmdemo.options import build, meta
from mmdemo.runtime.standing import Row
from mmdemo.ui.i18n import catalogue, label, option_label, options_of
from mmdemo.ui.languages import LANGUAGES


def choices(field: dataclasses.Field[Any]) -> Sequence[tuple[Any, str]] | None:
    """What an option can be, as (shown, value), or None where it is free."""
    about = meta(field)
    if about.task:
        return [(row.title, row.key) for row in catalog.having(cast(Task, about.task))]
    if about.language:
        return [(label("detect"), ""), *LANGUAGES]
    return [(label(choice_key(field.name, choice)), choice) for choice in about.choices] or None


def choice_key(field: str, choice: str) -> str:
    """The words of a choice: its own in this field, where it means another thing than elsewhere."""
    own = f"choice_{field}_{choice}"
    return own if own in catalogue()["ui"] else f"choice_{choice}"


def component(task: str, field: dataclasses.Field[Any], kind: type) -> gr.components.Component:
    """The control of one option, not yet placed on the page."""
    about = meta(field)
    if about.place:
        return gr.Textbox(value=field.default, label=about.label, render=False, visible=False)
    common: dict[str, Any] = {
        "label": option_label(task, field.name, "label"),
        "value": field.default,
        "interactive": True,
        "render": False,
        "min_width": 200,
        "elem_classes": ["mm-option"],
        "elem_id": f"mm-{task}-{field.name}",
    }
    if about.help:
        common["info"] = option_label(task, field.name, "help")
    offered = choices(field)
    if offered is not None:
        return gr.Dropdown(choices=list(offered), filterable=len(offered) > 8, **common)
    if kind is bool:
        return gr.Checkbox(**common)
    low, high = about.minimum, about.maximum
    if kind in (int, float) and about.step and low is not None and high is not None:
        return gr.Slider(low, high, step=about.step, **common)  # without a step the number is better written
    if kind in (int, float):
        return gr.Number(minimum=low, maximum=high, precision=0 if kind is int else None, **common)
    return gr.Textbox(lines=1, **common)


@dataclass(frozen=True)
class Form:
    """The components of a task's options, by field name, in the order of the fields."""

    task: str
    options: type[Any]
    components: Mapping[str, gr.components.Component]

    @classmethod
    def of(cls, task: str, own: Mapping[str, gr.components.Component] = {}) -> Form:
        """Make the components of `task`, one of `i18n.FORMS`, not yet placed: `render` them where they belong.

        Args:
            own: components that stand for fields in place of those that the fields would make.
        """
        options = options_of(task)
        hints = get_type_hints(options)
        made = {
            field.name: own.get(field.name) or component(task, field, hints[field.name])
            for field in dataclasses.fields(options)
        }
        return cls(task, options, made)

    def place(self, advanced: bool) -> None:
        """Put the simple or the advanced options here: what is chosen or written first, then what is on or off.

        Those with a place of their own are here too, hidden: every input of a handler must be on the page.
        """
        here = [
            self.components[field.name]
            for field in dataclasses.fields(self.options)
            if meta(field).advanced is advanced and not meta(field).place
        ]
        for field in dataclasses.fields(self.options):
            if meta(field).advanced is advanced and meta(field).place:
                self.components[field.name].render()
        for switches in (False, True):
            row = [one for one in here if isinstance(one, gr.Checkbox) is switches]
            if row:
                with gr.Row(elem_classes=["mm-options"]):
                    for one in row:
                        one.render()

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The components in the order of the fields."""
        return list(self.components.values())

    @property
    def models(self) -> list[gr.components.Component]:
        """The components that choose a checkpoint."""
        fields = dataclasses.fields(self.options)
        return [self.components[field.name] for field in fields if meta(field).task]

    def offers(self, rows: Iterable[Row], values: Mapping[Any, str]) -> dict[gr.components.Component, Any]:
        """Updates of those that choose a checkpoint: the catalog's, and what else is on this machine.

        Args:
            values: what is chosen. That stays a choice, also if it was removed: Gradio refuses an event that has
                another, and there may be one on its way.
        """
        there = [row.spec for row in rows if row.cached or row.spec.key in catalog.MODELS]
        there.sort(key=lambda spec: not spec.starter)
        updates: dict[gr.components.Component, Any] = {}
        for field in dataclasses.fields(self.options):
            if meta(field).task:
                one = self.components[field.name]
                offered = {spec.key: spec.title for spec in there if meta(field).task in spec.tasks}
                kept = {}
                try:
                    offered.setdefault(values[one], catalog.get(values[one]).title)
                except StudioError:  # a tuned model whose run was removed
                    kept = {"value": field.default}
                updates[one] = gr.update(choices=[(title, key) for key, title in offered.items()], **kept)
        return updates

    def choosing(self, rows: Iterable[Row], key: str) -> dict[gr.components.Component, Any]:
        """Updates that choose the checkpoint `key` for all that it can do; none where that is nothing.

        Raises:
            UnknownName, WeightsError: there is no such checkpoint.
        """
        able = catalog.get(key).tasks
        fields = [field for field in dataclasses.fields(self.options) if meta(field).task]
        values: dict[Any, str] = {
            self.components[one.name]: key if meta(one).task in able else str(one.default) for one in fields
        }
        offers = self.offers(rows, values)
        return {one: {**offers[one], "value": key} for one, value in values.items() if value == key}

    def defaults(self) -> list[Any]:
        """What the components show at first, in the order of the fields."""
        return [field.default for field in dataclasses.fields(self.options)]

    def read(self, values: Sequence[Any]) -> Any:
        """The options from the components' values.

        Raises:
            UnknownName, InputError: for values out of bounds.
        """
        return build(self.options, dict(zip(self.components, map(_plain, values, self.defaults()), strict=True)))


def _plain(value: Any, default: Any) -> Any:
    """An emptied control counts as its default; text comes without the blanks around it."""
    if value is None:
        return default
    return value.strip() if isinstance(value, str) else value
