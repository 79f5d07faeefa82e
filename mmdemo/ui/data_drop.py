"""Data to train on, as they come in: dropped, or a set that is there; read and shown, wherever one can train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.datasets.report import Report
from mmdemo.datasets.rows import Dataset
from mmdemo.ui import data_cards, uploads
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.i18n import label, language_of
from mmdemo.ui.inputs import Area, drop_area


@dataclass(frozen=True)
class Read:
    """A data set that was read."""

    path: Path
    dataset: Dataset
    report: Report
    language: str

    @property
    def count(self) -> str:
        """Its rows, as people read a number."""
        return f"{len(self.dataset.rows):,}"


class DataDrop:
    """The drop area and the list of sets; what was found goes to `found`, once that is placed."""

    def __init__(self, context: Context, tab: str, title: str, data: gr.Textbox | None = None) -> None:
        """Place the drop area and the list here.

        Args:
            title: key of what the drop area says.
            data: where the path of the chosen set stands, if it is placed elsewhere.
        """
        self.context = context
        self.area: Area = drop_area(tab, title, set())
        self.sets = gr.Dropdown(
            [], value=None, label=label("own_data"), visible=False, elem_id=f"mm-{tab}-sets",
            elem_classes=["mm-option"],
        )  # fmt: skip
        self.data = data or gr.Textbox("", visible=False, elem_id=f"mm-{tab}-data")
        self._tab = tab

    def place_found(self, bench: str, took: Callable[[Read], tuple[Updates, str]]) -> None:
        """Place the status and what was found in the data here.

        Args:
            bench: the name of the status.
            took: what else a data set changes, and what is said of it.
        """
        self.bench = Bench(self.context, bench, lasting=False)
        self.found = gr.HTML("", elem_classes=["mm-result", "mm-flat"], elem_id=f"mm-{self._tab}-found")
        self._took = took

    @property
    def outputs(self) -> list[Any]:
        """What reading changes, besides what `took` does."""
        return [self.area.drop, self.sets, self.data, self.found, *self.bench.outputs]

    def own(self) -> Any:
        """The data sets that are there."""
        there = uploads.own(self.context.studio.settings)
        return gr.update(choices=there, visible=bool(there))

    def dropped(self, given: Any, request: gr.Request) -> Iterator[Updates]:
        """Keep what was dropped as a data set, and show what is in it."""
        paths = [Path(path) for path in ([given] if isinstance(given, str) else given or [])]
        if paths:
            yield from self.read(lambda: uploads.keep(paths, self.context.studio.settings), request)

    def picked(self, chosen: str | None, request: gr.Request) -> Iterator[Updates]:
        """Show what is in a data set that was there."""
        if chosen:
            yield from self.read(lambda: Path(chosen), request)

    def read(self, where: Callable[[], Path], request: gr.Request) -> Iterator[Updates]:
        """Read a data set and show it."""
        settings, language = self.context.studio.settings, language_of(request)
        got: list[tuple[Path, Dataset, Report]] = []

        def make(run: Any) -> Iterator[Any]:
            return uploads.reading(where, settings, run.stop.is_set)

        def show(last: bool) -> State:
            if not got:
                return State({self.area.drop: None} if last else {})
            one = Read(*got[0], language)
            more, words = self._took(one)
            return State(
                {
                    **more,
                    self.area.drop: None,
                    self.found: data_cards.found(one.dataset, one.report, language),
                    self.data: str(one.path),
                    self.sets: gr.update(choices=uploads.own(settings), visible=True),
                },
                words=words,
            )

        yield from self.bench.serve(request, make, got.append, show)
