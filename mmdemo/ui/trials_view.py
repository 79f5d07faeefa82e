"""A search for settings on the page: how it stands, the trials, what mattered, and a training with the best."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from mmdemo.errors import StudioError
from mmdemo.jobs import Job
from mmdemo.jobs.job import WAITING
from mmdemo.training import submit
from mmdemo.training.search_config import TRIALS_FILE
from mmdemo.ui import job_cards, parts, run_cards
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.handlers import PRESSED, private, quiet
from mmdemo.ui.i18n import label, language_of, say
from mmdemo.ui.run_view import BEAT, when
from mmdemo.ui.sentences import translate

KIND = submit.SEARCH
STATES = ("complete", "pruned", "fail", "running")
Came = Mapping[str, Any]


class TrialsView:
    """One search at a time; which one is chosen from all of them. Hidden while there is none."""

    def __init__(self, context: Context) -> None:
        """Place it here."""
        self.context = context
        with gr.Column(visible=False, elem_id="mm-trials-view", elem_classes=["mm-view"]) as self.place:
            self.searches = gr.Dropdown(
                [], label=label("trials_run"), filterable=False, elem_id="mm-trials-runs", elem_classes=["mm-option"]
            )
            self.head = gr.HTML("", js_on_load=PRESSED, elem_classes=["mm-flat"], elem_id="mm-trials-head")
            self.problem = gr.HTML("", elem_classes=["mm-flat"], elem_id="mm-trials-problem")
            self.best = gr.HTML("", elem_classes=["mm-flat"], elem_id="mm-trials-best")
            with gr.Row(elem_classes=["mm-take"]):
                self.train = gr.Button(
                    label("trials_train"), size="sm", visible=False, elem_classes=["mm-action"],
                    elem_id="mm-trials-train",
                )  # fmt: skip
            with gr.Row(elem_classes=["mm-curves"]):
                self.scores = gr.ScatterPlot(x="trial", y="score", elem_id="mm-trials-scores", **_drawing())
                self.history = gr.LinePlot(x="trial", y="best", elem_id="mm-trials-history", **_drawing())
                self.mattered = gr.BarPlot(
                    x="setting", y="share", sort="-y", elem_id="mm-trials-mattered", **_drawing()
                )
            self.table = gr.HTML("", elem_classes=["mm-flat"], elem_id="mm-trials-table")
        self.seen = gr.State(())
        self.timer = gr.Timer(BEAT, active=False)
        self.timer.tick(self.look, [self.searches, self.seen], self.outputs, **quiet())
        self.searches.input(self.choose, self.searches, self.outputs, **quiet())
        self.head.select(self.press, self.searches, self.outputs, **private())

    @property
    def outputs(self) -> list[Any]:
        """What a look changes."""
        return [self.place, self.searches, self.head, self.problem, self.best, self.train, self.scores, self.history,
                self.mattered, self.table, self.seen, self.timer]  # fmt: skip

    def opened(self, chosen: str | None, request: gr.Request) -> Updates:
        """What the tab shows when it opens: the search that was chosen, else the last one."""
        return self.shown(chosen or "", language_of(request))

    def look(self, chosen: str | None, seen: Any, request: gr.Request) -> Updates:
        """How it stands now."""
        return self.shown(chosen or "", language_of(request), tuple(seen or ()))

    def choose(self, chosen: str, request: gr.Request) -> Updates:
        """Show another search."""
        return self.shown(chosen, language_of(request))

    def press(self, pressed: gr.EventData, chosen: str, request: gr.Request) -> Updates:
        """Stop, resume or remove the search."""
        language = language_of(request)
        try:
            job_cards.act(pressed, self.context.studio.jobs)
        except StudioError as error:
            problem = parts.error(sentence(error, language, "the page of a search"))
            return {**self.shown(chosen, language), self.problem: problem}
        return self.shown("" if pressed.action == "remove" else chosen, language)

    def shown(self, chosen: str, language: str, seen: tuple[Any, ...] = ()) -> Updates:
        """Updates to how a search stands.

        Args:
            chosen: its id; the last one if there is none of that id.
            seen: what the page shows; plots and table are sent only if that changed.
        """
        jobs = self.context.studio.jobs
        try:
            searches = [job for job in jobs.all() if job.kind == KIND]
        except StudioError as error:
            return {self.problem: parts.error(sentence(error, language, "the list of jobs")), self.timer: gr.skip()}
        if not searches:
            return {self.place: gr.update(visible=False), self.seen: (), self.timer: gr.Timer(active=False)}
        job = next((one for one in searches if one.id == chosen), searches[0])
        said, came = jobs.history(job), read(job.folder)
        updates: Updates = {
            self.place: gr.update(visible=True),
            self.head: run_cards.head(job, said, language),
            self.timer: gr.Timer(active=job.state in WAITING),
        }
        now = (job.id, job.state, job.attempt, len(came.get("trials", [])), said.count[0], len(searches))
        if now == seen:
            return updates
        choices = [(f"{one.title} · {when(one)}", one.id) for one in searches]
        updates |= {
            self.searches: gr.update(choices=choices, value=job.id),
            self.best: best(came, language),
            self.train: gr.update(visible=bool(came.get("params"))),
            self.table: table(came, language),
            self.seen: now,
            **self._plots(came, language),
        }
        if not seen or seen[0] != job.id:
            updates |= {self.problem: ""}
        return updates

    def _plots(self, came: Came, language: str) -> Updates:
        metric = str(came.get("metric", ""))
        scored = [(one["number"] + 1, one["score"]) for one in came.get("trials", []) if one["score"] is not None]
        shares = list(came.get("importance", {}).items())
        return {
            self.scores: _drawn(
                ("trial", "score"), scored, say("trials_scores", language, name=metric), **around(scored)
            ),
            self.history: _drawn(("trial", "best"), so_far(came), say("trials_history", language, name=metric)),
            self.mattered: _drawn(("setting", "share"), shares, say("trials_mattered", language), y_lim=[0, 1]),
        }

    def again(self, chosen: str, language: str) -> tuple[Job | None, Updates]:
        """Put a training with the best settings in the queue; the training, and what to show."""
        jobs = self.context.studio.jobs
        try:
            return submit.training(submit.best_options(jobs.get(chosen).folder), jobs), {self.problem: ""}
        except StudioError as error:
            return None, {self.problem: parts.error(sentence(error, language, "the page of a search"))}


def _drawing() -> dict[str, Any]:
    return {"height": 232, "visible": False, "buttons": [], "min_width": 240, "show_label": True,
            "label": label("trials_run"), "elem_classes": ["mm-curve"]}  # fmt: skip


def around(scored: Sequence[tuple[int, float]]) -> dict[str, list[float]]:
    """Limits of a plot with room around the points, which are cut at its edges else."""
    if not scored:
        return {}
    trials, values = zip(*scored, strict=True)
    room = 0.05 * (max(values) - min(values)) or 0.01
    return {
        "x_lim": [min(trials) - 0.5, max(trials) + 0.5],
        "y_lim": [min(values) - room, max(values) + room],
    }


def _drawn(columns: tuple[str, str], line: Sequence[tuple[Any, Any]], title: str, **limits: Any) -> Any:
    """An update of one plot; a single point tells nothing."""
    if len(line) < 2:
        return gr.update(visible=False)
    import pandas

    frame = pandas.DataFrame(list(line), columns=list(columns))
    return gr.update(value=frame, visible=True, label=title, x_title=" ", y_title=" ", **limits)


def read(folder: Path) -> Came:
    """What came of a search so far; empty where there is nothing yet."""
    try:
        found = json.loads((folder / TRIALS_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def so_far(came: Came) -> list[tuple[int, float]]:
    """The best score of all trials up to each that came to its end."""
    line: list[tuple[int, float]] = []
    for one in came.get("trials", []):
        if one["state"] == "complete" and one["score"] is not None:
            value = one["score"]
            if line:
                value = (min if came.get("lower") else max)(value, line[-1][1])
            line.append((one["number"] + 1, value))
    return line


def settings(params: Mapping[str, Any]) -> str:
    """Settings as people read them."""
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in params.items())  # fmt: skip


def best(came: Came, language: str) -> str:
    """The best settings so far, and from which ranges."""
    if not came:
        return ""
    line = ""
    first = next((one for one in came.get("trials", []) if one["number"] == came.get("best")), None)
    if first is not None:
        words = say("trials_best", language, metric=came["metric"], score=f"{first['score']:.4g}",
                    settings=settings(first["params"]))  # fmt: skip
        line = f'<p class="mm-verdict"><strong>{escape(words)}</strong></p>'
    tried = say("trials_ranges", language, ranges="; ".join(came.get("ranges", [])))
    return f'{line}<p class="mm-from">{escape(tried)}</p>'


def table(came: Came, language: str) -> str:
    """Every trial: its settings, its score, how it ended; the best first."""
    some = list(came.get("trials", []))
    if not some:
        return ""
    worst = float("inf")
    sign = 1 if came.get("lower") else -1
    some.sort(key=lambda one: (worst if one["score"] is None else sign * one["score"], one["number"]))
    keys = ["trial", "settings", "score", "state"]
    rows = "".join(_row(one, language) for one in some)
    title = say("trials_all", language)
    return f'<h3 class="mm-head">{escape(title)}</h3>{run_cards.table(keys, rows, title, language)}'


def _row(one: Mapping[str, Any], language: str) -> str:
    state = say(f"trial_{one['state']}", language) if one["state"] in STATES else str(one["state"])
    why = translate(str(one.get("why") or ""), language)
    value = "–" if one["score"] is None else f"{one['score']:.4g}"
    cells: list[tuple[str, Any]] = [("settings", settings(one["params"])), ("score", value),
                                    ("state", f"{state}: {why}" if why else state)]  # fmt: skip
    return run_cards.row(str(one["number"] + 1), cells, language)
