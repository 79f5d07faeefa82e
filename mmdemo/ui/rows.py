"""The rows of the data set that was chosen, page by page: look, find, correct, leave out, take back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo import datasets
from mmdemo.datasets import edits
from mmdemo.datasets.rows import Dataset
from mmdemo.errors import InputError, StudioError
from mmdemo.ui import parts, row_cards, uploads
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.handlers import PRESSED, private
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.row_cards import Keyed

PAGE = 12
KEPT = 2
"""Data sets whose rows are held between two pages."""
FOCUS = "() => document.querySelector('#mm-rows-answer textarea')?.focus()"


class Rows:
    """A gallery of the rows, one of them being corrected or none."""

    def __init__(self, context: Context, data: Any, sets: Any) -> None:
        """Place it here; it shows once there is a data set.

        Args:
            data: the component with the path of the data set; a correction puts the corrected set's there.
            sets: the list of the user's data sets.
        """
        self.context, self.data, self.sets = context, data, sets
        self._read: dict[str, tuple[float, Dataset]] = {}
        self.first, self.row = gr.State(0), gr.State("")
        with gr.Column(visible=False, elem_classes=["mm-rows-box"], elem_id="mm-rows") as self.box:
            with gr.Row(elem_classes=["mm-rows-line"]):
                self.find = gr.Textbox("", label=label("rows_find"), max_lines=1, min_width=200, elem_id="mm-rows-find")
                self.before = _button("rows_before")
                self.after = _button("rows_after")
                self.undo = _button("rows_undo")
                self.again = _button("rows_again")
            self.where = gr.HTML("", elem_classes=["mm-flat"], elem_id="mm-rows-where")
            self.gallery = gr.HTML("", js_on_load=PRESSED, elem_classes=["mm-flat"], elem_id="mm-rows-gallery")
            with gr.Column(visible=False, elem_classes=["mm-rows-edit"]) as self.editor:
                self.text = gr.Textbox(label=label("col_input"), lines=2, max_lines=12, elem_id="mm-rows-text")
                self.answer = gr.Textbox(label=label("col_target"), lines=2, max_lines=12, elem_id="mm-rows-answer")
                with gr.Row(elem_classes=["mm-rows-line"]):
                    self.save, self.cancel = _button("row_save"), _button("row_cancel")
        self._wire()

    def _wire(self) -> None:
        def on(event: Any, handler: Callable[..., Any], *inputs: Any) -> Any:
            return event(handler, [self.data, self.first, self.find, *inputs], self.outputs, **private())

        on(self.find.submit, self.found)
        on(self.before.click, self.earlier)
        on(self.after.click, self.later)
        on(self.undo.click, self.taken_back)
        on(self.gallery.select, self.pressed).then(None, None, None, js=FOCUS)
        on(self.save.click, self.saved, self.row, self.text, self.answer)
        on(self.cancel.click, self.shown)

    @property
    def outputs(self) -> list[Any]:
        """The components that this updates."""
        own = [self.box, self.first, self.row, self.where, self.gallery, self.editor, self.text, self.answer]
        return [*own, self.find, self.before, self.after, self.undo, self.data, self.sets]

    def opened(self, path: Path, dataset: Dataset, language: str) -> Updates:
        """Updates for a data set that has just been read."""
        source = edits.history(path).source if self._is_fixed(path) else path
        if source == path:
            self._keep(source, dataset)
        return {self.box: gr.update(visible=True), self.find: "", **self._page(str(path), 0, "", language)}

    def found(self, path: str, first: int, find: str, request: gr.Request) -> Updates:
        """The rows that say something, from the first on."""
        return self._safe(path, 0, find, request)

    def earlier(self, path: str, first: int, find: str, request: gr.Request) -> Updates:
        """The page before."""
        return self._safe(path, first - PAGE, find, request)

    def later(self, path: str, first: int, find: str, request: gr.Request) -> Updates:
        """The page after."""
        return self._safe(path, first + PAGE, find, request)

    def shown(self, path: str, first: int, find: str, request: gr.Request) -> Updates:
        """The page as it was, nothing being corrected."""
        return self._safe(path, first, find, request)

    def pressed(self, path: str, first: int, find: str, event: gr.EventData, request: gr.Request) -> Updates:
        """Correct a row, or leave it out."""
        name = str(event.value)
        if event.action == "drop":
            return self._safe(path, first, find, request, lambda place: edits.drop(place, name, self._settings))
        return self._safe(path, first, find, request, row=name)

    def saved(
        self, path: str, first: int, find: str, row: str, text: str, answer: str, request: gr.Request
    ) -> Updates:  # fmt: skip
        """Keep a row's new words."""

        def change(place: Path) -> Path:
            edits.changed(self._of(place, row)[1], text or "", answer or "")  # words and tags that do not fit are told
            return edits.change(place, row, text or "", answer or "", self._settings)

        return self._safe(path, first, find, request, change)

    def taken_back(self, path: str, first: int, find: str, request: gr.Request) -> Updates:
        """Take the last correction back."""
        return self._safe(path, first, find, request, lambda place: edits.undo(place, self._settings))

    def _safe(
        self, path: str, first: int, find: str, request: gr.Request, act: Callable[[Path], Path] | None = None,
        row: str = "",
    ) -> Updates:  # fmt: skip
        language = language_of(request)
        try:
            if act is None:
                return self._page(path, first, find, language, row)
            now = act(Path(path))
            words = say("rows_fixed", language, name=now.name, version=edits.history(now).version)
            there = gr.update(choices=uploads.own(self._settings), value=str(now), visible=True)
            return {
                **self._page(str(now), first, find, language),
                self.where: parts.note(words),
                self.data: str(now),
                self.sets: there,
            }
        except StudioError as error:
            return {self.where: parts.error(sentence(error, language, "the rows of a data set"))}

    def _page(self, path: str, first: int, find: str, language: str, row: str = "") -> Updates:
        keyed = self._rows(Path(path))
        words = (find or "").casefold().strip()
        some = [one for one in keyed if words in _said(one)] if words else keyed
        first = max(0, min(first, (len(some) - 1) // PAGE * PAGE))
        page = [self._of(Path(path), row)] if row else some[first : first + PAGE]
        last = min(first + PAGE, len(some))
        line = say("rows_where", language, first=f"{first + 1:,}", last=f"{last:,}", count=f"{len(some):,}")
        fixed = self._is_fixed(Path(path)) and bool(edits.history(Path(path)).steps)
        return {
            self.first: first,
            self.row: row,
            self.where: parts.note(line) if some and not row else "",
            self.gallery: row_cards.gallery(page, self._settings, language, buttons=not row),
            self.editor: gr.update(visible=bool(row)),
            self.text: edits.asked(page[0][1]) if row else "",
            self.answer: edits.answered(page[0][1]) if row else "",
            self.before: gr.update(interactive=not row and first > 0),
            self.after: gr.update(interactive=not row and last < len(some)),
            self.undo: gr.update(interactive=fixed and not row),
        }

    @property
    def _settings(self) -> Any:
        return self.context.studio.settings

    def _is_fixed(self, path: Path) -> bool:
        return edits.is_one(path, self._settings)

    def _of(self, path: Path, name: str) -> Keyed:
        found = next((one for one in self._rows(path) if one[0] == name), None)
        if found is None:
            raise InputError("That row is not there any more: look at the rows again.")
        return found

    def _rows(self, path: Path) -> list[Keyed]:
        """All rows as they are now; those of the data set itself are read once."""
        done = edits.history(path) if self._is_fixed(path) else edits.Edits(path)
        held = self._read.get(str(done.source))
        if held is None or held[0] != _moment(done.source):
            self._keep(done.source, datasets.read(done.source, self._settings))
            held = self._read[str(done.source)]
        return edits.applied(held[1].rows, done.steps)[0]

    def _keep(self, source: Path, dataset: Dataset) -> None:
        self._read[str(source)] = (_moment(source), dataset)
        for old in list(self._read)[:-KEPT]:
            self._read.pop(old, None)


def _moment(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _said(one: Keyed) -> str:
    return f"{one[1].origin}\n{edits.asked(one[1])}\n{edits.answered(one[1])}".casefold()


def _button(key: str) -> Any:
    return gr.Button(
        label(key), size="sm", min_width=96, scale=0, elem_classes=["mm-action"], elem_id=f"mm-{key.replace('_', '-')}"
    )
