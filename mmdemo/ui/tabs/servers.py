"""Models on servers, on the tab of models: the address of one, what it serves, and a button that adds each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from mmdemo import catalog, remote_rows
from mmdemo.ui import panels, parts
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.i18n import label, language_of, say

COLUMNS = ("model", "server", "actions")


class Servers:
    """The address, its own line of status, and what is served there."""

    def __init__(self, context: Context, pressed_script: str) -> None:
        """Place it here.

        Args:
            pressed_script: makes a press on a result's button a `select` event of `results`.
        """
        self.context = context
        known = remote_rows.servers(context.studio.settings)
        with gr.Row(elem_classes=["mm-hub"]):
            self.address = gr.Textbox(
                known[0] if known else "", label=label("server_address"), placeholder="http://127.0.0.1:8000/v1",
                info=label("server_hint"), lines=1, max_lines=1, elem_id="mm-server-address",
                elem_classes=["mm-hub-words"],
            )  # fmt: skip
            self.go = gr.Button(label("server_go"), min_width=136, elem_id="mm-server-go", elem_classes=["mm-hub-go"])
        self.bench = Bench(context, "servers", lasting=False)
        self.found = gr.State([])
        self.results = gr.HTML(
            "", js_on_load=pressed_script, elem_classes=["mm-result", "mm-flat"], elem_id="mm-server-results"
        )

    @property
    def outputs(self) -> list[Any]:
        """What asking a server changes."""
        return [self.found, self.results, *self.bench.outputs]

    def find(self, address: str, request: gr.Request) -> Iterator[Updates]:
        """Ask a server, and show what it serves."""
        language = language_of(request)
        found: list[str] | None = None

        def take(keys: list[str]) -> None:
            nonlocal found
            found = keys

        def show(last: bool) -> State:
            if not last or found is None:
                return State({})
            updates = {self.found: found, self.results: self.html(found, language)}
            return State(updates, words=say("found", language, count=len(found)))

        yield from self.bench.serve(
            request, lambda run: self.context.studio.served(address or "", run.stop), take, show
        )

    def add(self, key: str, found: Sequence[str], request: gr.Request) -> Iterator[Updates]:
        """Write a model of the results down, so that it can be chosen in the tabs."""
        language = language_of(request)
        title: list[str] = []

        def show(last: bool) -> State:
            if not last or not title:
                return State({})
            return State({self.results: self.html(found, language)}, words=say("added", language, title=title[0]))

        def make(run: Any) -> Iterator[str]:
            yield self.context.studio.declare(key).title

        yield from self.bench.serve(request, make, title.append, show)

    def html(self, found: Sequence[str], language: str) -> str:
        """What a server serves as a table; one that is written down needs no button."""
        if not found:
            return parts.empty(say("serves_nothing", language))
        specs = [row.spec for row in self.context.studio.rows()]
        here = {(one.url, one.model) for spec in specs for one in spec.sources if isinstance(one, catalog.Remote)}
        title = say("server_results", language)
        lines = "".join(_line(key, here, language) for key in found)
        return f'<h3 class="mm-head">{title}</h3>{panels.table(lines, COLUMNS, title, language)}'


def _line(key: str, here: set[tuple[str, str]], language: str) -> str:
    model, url = remote_rows.parted(key)
    last = say("state_added", language) if (url, model) in here else panels.button("add", key, model, language)
    return (
        f'<tr data-mm-found="{escape(key)}"><th scope="row"><span class="mm-title">{escape(model)}</span></th>'
        f'<td data-mm-name="{say("col_server", language)}">{escape(remote_rows.host_of(url))}</td>'
        f'<td class="mm-actions">{last}</td></tr>'
    )
