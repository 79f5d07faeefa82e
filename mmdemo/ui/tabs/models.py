"""The tab of checkpoints: what there is, what is in the cache, what is loaded, and what to do with each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from mmdemo import catalog, hub_rows
from mmdemo.errors import UnknownName
from mmdemo.runtime.sources.hub_find import Found
from mmdemo.ui import panels, parts
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.handlers import PRESSED, private
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.inputs import Look
from mmdemo.ui.tabs.search import Search
from mmdemo.ui.tabs.servers import Servers
from mmdemo.ui.tabs.trusting import Trusting


class Models:
    """The tab: what it shows and what its controls do."""

    name = "models"
    form = None

    def __init__(self, context: Context) -> None:
        """Place the tab here."""
        self.context = context
        with gr.Column(elem_classes=["mm-panel"]):
            gr.Markdown(label("models_intro"), elem_classes=["mm-intro"])
            self.search = Search(context, PRESSED)
            self.servers = Servers(context, PRESSED)
            self.bench = Bench(context, "models")
            self.table = gr.HTML(
                "", js_on_load=PRESSED, elem_classes=["mm-result", "mm-flat"], elem_id="mm-models-table"
            )
            self.trusting = Trusting(context)
        self.looks = [
            Look(self.rows, None, self.table, again=True),
            Look(self.trusting.shown, None, self.trusting.list, again=True),
        ]
        self.listeners = [
            *self.trusting.listeners,
            self.table.select(self.press, [self.search.found], self.outputs, **private()),
            self.search.results.select(self.press, [self.search.found], self.outputs, **private()),
            self.servers.results.select(
                self.add, [self.servers.found], [self.table, *self.servers.outputs], **private()
            ),
            *(
                event(self.servers.find, [self.servers.address], self.servers.outputs, **private())
                for event in (self.servers.go.click, self.servers.address.submit)
            ),
            *(
                event(self.search.find, self.search.inputs, self.search.outputs, **private())
                for event in (self.search.go.click, self.search.words.submit)
            ),
        ]

    @property
    def outputs(self) -> list[Any]:
        """What a press on a button may change."""
        return [self.table, *self.bench.outputs, *self.search.outputs]

    def rows(self, request: gr.Request) -> str:
        """The table as things stand."""
        studio = self.context.studio
        return panels.models(studio.rows(), studio.settings.offline, language_of(request))

    def press(self, found: list[Found], pressed: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Do what a button says, of the table or of a search's results, and keep both as things stand."""
        if pressed.action == "look":
            yield from self.search.look(str(pressed.value), request)
            return
        for updates in self.act(pressed, request):
            if self.table in updates and found:
                updates = {**updates, self.search.results: self.search.html(found, language_of(request))}
            yield updates

    def add(self, found: list[str], pressed: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Add a model that a server serves, of those that were listed."""
        key = str(pressed.value)
        for updates in self.servers.add(key, found, request) if key in found else ():
            if self.servers.results in updates:
                updates = {**updates, self.table: self.rows(request)}
            yield updates

    def act(self, pressed: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Fetch, load, unload or remove the checkpoint whose button was pressed."""
        key, action = str(pressed.value), str(pressed.action)
        language = language_of(request)
        studio = self.context.studio
        actions = {
            "fetch": studio.fetch, "resume": studio.fetch, "load": studio.load, "unload": studio.unloading,
            "remove": studio.removing,
        }  # fmt: skip
        freed: list[int] = []

        def make(run: Any) -> Iterator[Any]:
            if action not in actions:
                raise UnknownName("action", action, actions)
            return actions[action](key, run.stop)

        def show(last: bool) -> State:
            words = ""
            if last and freed:
                words = say("removed", language, title=catalog.get(key).title, size=parts.size(freed[0]))
            elif last and action == "unload" and (key in catalog.MODELS or hub_rows.is_key(key)):
                words = say("unloaded", language, title=catalog.get(key).title)
            return State({self.table: self.rows(request)} if last else {}, words=words)

        yield from self.bench.serve(request, make, freed.append, show)
