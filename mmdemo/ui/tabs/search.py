"""Searching the Hub, on the tab of models: what to search for, what was found, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from mmdemo import hub_rows
from mmdemo.runtime.sources.hub_find import Found, Wanted
from mmdemo.runtime.sources.hub_search import USABLE
from mmdemo.runtime.standing import Row
from mmdemo.ui import panels, parts
from mmdemo.ui.bench import Bench, Context, State, Updates
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.sentences import translate

SIZES = (1, 3, 8, 32)
"""Billions of parameters that one can bound a search by."""
LICENCES = ("apache-2.0", "mit", "cc-by-4.0", "bsd-3-clause", "llama3.2", "gemma")
"""As the Hub writes them."""
COLUMNS = ("model", "task", "size", "parameters", "licence", "downloads", "actions")


class Search:
    """The search: its controls, its own line of status, and the results."""

    def __init__(self, context: Context, pressed_script: str) -> None:
        """Place it here.

        Args:
            pressed_script: makes a press on a result's button a `select` event of `results`.
        """
        self.context = context
        there = not context.studio.settings.offline
        tasks = [(label("any"), ""), *((label(f"task_{task}"), task) for task in dict.fromkeys(USABLE.values()))]
        sizes = [(label("any"), 0), *((f"≤ {most} B", most) for most in SIZES)]
        licences = [(label("any"), ""), *((one, one) for one in LICENCES)]
        with gr.Row(elem_classes=["mm-hub"], visible=there):
            self.words = gr.Textbox(
                label=label("hub_search"), placeholder=label("hub_hint"), lines=1, max_lines=1, elem_id="mm-hub-words",
                elem_classes=["mm-hub-words"],
            )  # fmt: skip
            self.task = _choice("col_task", tasks, "mm-hub-task")
            self.size = _choice("col_parameters", sizes, "mm-hub-size")
            self.licence = _choice("col_licence", licences, "mm-hub-licence")
            self.go = gr.Button(
                label("search_go"), variant="primary", min_width=96, elem_id="mm-hub-go", elem_classes=["mm-hub-go"]
            )
        self.bench = Bench(context, "hub", lasting=False)
        self.found = gr.State([])
        self.results = gr.HTML(
            "", js_on_load=pressed_script, elem_classes=["mm-result", "mm-flat"], elem_id="mm-hub-results"
        )

    @property
    def inputs(self) -> list[Any]:
        """What a search is made of."""
        return [self.words, self.task, self.size, self.licence]

    @property
    def outputs(self) -> list[Any]:
        """What a search changes."""
        return [self.words, self.found, self.results, *self.bench.outputs]

    def find(self, words: str, task: str, size: float, licence: str, request: gr.Request) -> Iterator[Updates]:
        """Search, and show what was found."""
        wanted = Wanted(words or "", (task,) if task else (), licence or "", float(size or 0))
        yield from self._serve(wanted, request, {})

    def look(self, key: str, request: gr.Request) -> Iterator[Updates]:
        """Ask for one repository of the results, whose size the Hub's list does not have."""
        yield from self._serve(Wanted(key), request, {self.words: key})

    def _serve(self, wanted: Wanted, request: gr.Request, first: Updates) -> Iterator[Updates]:
        language = language_of(request)
        found: list[Found] | None = None

        def take(results: list[Found]) -> None:
            nonlocal found
            found = results

        def show(last: bool) -> State:
            if not last or found is None:
                return State(dict(first))
            updates = {**first, self.found: found, self.results: self.html(found, language)}
            return State(updates, words=say("found", language, count=len(found)))

        yield from self.bench.serve(request, lambda run: self.context.studio.search(wanted, run.stop), take, show)

    def html(self, found: Sequence[Found], language: str) -> str:
        """The results as they stand: what is here by now needs no button to fetch it."""
        rows = {row.spec.key: row for row in self.context.studio.rows()}
        return results(found, rows, language)


def _choice(name: str, choices: list[tuple[Any, Any]], elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices=choices, value=choices[0][1], label=label(name), filterable=False, min_width=120, elem_id=elem_id,
        elem_classes=["mm-hub-choice"],
    )  # fmt: skip


def results(found: Sequence[Found], rows: dict[str, Row], language: str) -> str:
    """What was found as a table; as cards on a phone."""
    if not found:
        return parts.empty(say("nothing_runs", language))
    title = say("hub_results", language)
    lines = "".join(_result(one, rows.get(one.key), language) for one in found)
    return f'<h3 class="mm-head">{title}</h3>{panels.table(lines, COLUMNS, title, language)}'


def _result(one: Found, row: Row | None, language: str) -> str:
    where = hub_rows.address(one.key)
    name = f'<span class="mm-title">{escape(where.title)}</span><span class="mm-muted">{escape(one.repo)}</span>'
    if one.gated:
        name += f' <span class="mm-kind" title="{escape(say("gated_why", language))}">{say("gated", language)}</span>'
    cells = [
        ("task", say(f"task_{one.task}", language)),
        ("size", parts.size(one.bytes) if one.bytes else "–"),
        ("parameters", panels.count(one.parameters / 1e6) if one.parameters else "–"),
        ("licence", escape(translate(one.licence or "not stated", language))),
        ("downloads", f"{one.downloads:,}"),
    ]
    body = "".join(f'<td data-mm-name="{say("col_" + key, language)}">{value}</td>' for key, value in cells)
    if row is not None and row.cached:
        action = panels.state(row, language)
    else:
        kind = "look" if not one.bytes else "resume" if row is not None and row.arrived else "fetch"
        action = panels.button(kind, one.key, where.title, language)
    last = f'<td class="mm-actions">{action}</td>'
    return f'<tr data-mm-found="{escape(one.key)}"><th scope="row">{name}</th>{body}{last}</tr>'
