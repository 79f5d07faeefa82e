"""The tab of checkpoints: what there is, what is in the cache, what is loaded, and what to do with each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from mmdemo import catalog
from mmdemo.errors import UnknownName
from mmdemo.ui import panels, parts
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import private
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Look

PRESSED = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-mm-action]");
  if (!button || (button.dataset.mmSure && !confirm(button.dataset.mmSure))) return;
  trigger("select", { value: button.dataset.mmKey, index: 0, action: button.dataset.mmAction });
});
"""
"""A press on a row's button is a `select` event of the table, with the row's key and what to do."""


class Models:
    """The tab: what it shows and what its controls do."""

    name = "models"
    form = None

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        with gr.Column(elem_classes=["mm-panel"]):
            gr.Markdown(label("models_intro"), elem_classes=["mm-intro"])
            self.bench = Bench(context, "models")
            self.table = gr.HTML(
                "", js_on_load=PRESSED, elem_classes=["mm-result", "mm-flat"], elem_id="mm-models-table"
            )
        self.looks = [Look(self.rows, None, self.table, again=True)]
        self.listeners = [
            self.table.select(self.act, None, [self.table, *self.bench.outputs], **private()),
        ]

    def rows(self, request: gr.Request) -> str:
        """The table as things stand."""
        studio = self.context.studio
        return panels.models(studio.rows(), studio.settings.offline, language_of(request))

    def act(self, pressed: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Fetch, load, unload or remove the checkpoint whose button was pressed."""
        key, action = str(pressed.value), str(pressed.action)
        language = language_of(request)
        studio = self.context.studio
        actions = {"fetch": studio.fetch, "load": studio.load, "unload": studio.unloading, "remove": studio.removing}
        freed: list[int] = []

        def make(run: Any) -> Iterator[Any]:
            if action not in actions:
                raise UnknownName("action", action, actions)
            return actions[action](key, run.stop)

        def show(last: bool) -> State:
            words = ""
            if last and freed:
                words = say("removed", language, title=catalog.get(key).title, size=parts.size(freed[0]))
            elif last and action == "unload" and key in catalog.MODELS:
                words = say("unloaded", language, title=catalog.get(key).title)
            return State({self.table: self.rows(request)} if last else {}, words=words)

        yield from self.bench.serve(request, make, freed.append, show)
