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
from mmdemo.jobs.events import History
from mmdemo.training import submit
from mmdemo.training.search_config import TRIALS_FILE
from mmdemo.ui import parts, run_cards
from mmdemo.ui.bench import Context, Updates, sentence
from mmdemo.ui.i18n import label, say
from mmdemo.ui.job_view import JobView, Seen
from mmdemo.ui.sentences import translate

NAMED = 20
"""Trials that each have a name on the axis of a plot; with more there is no room for halves between them."""
STATES = ("complete", "pruned", "fail", "running")
Came = Mapping[str, Any]


class TrialsView(JobView):
    """One search at a time; which one is chosen from all of them. Hidden while there is none."""

    kind, where = submit.SEARCH, "the page of a search"

    def __init__(self, context: Context) -> None:
        """Place it here."""
        super().__init__(context)
        with gr.Column(visible=False, elem_id="mm-trials-view", elem_classes=["mm-view"]) as self.column:
            self.place("trials_run", "trials", shown=True)
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
        self.watch()

    @property
    def outputs(self) -> list[Any]:
        """What a look changes."""
        own = [self.column, self.best, self.train, self.scores, self.history, self.mattered, self.table]
        return [*super().outputs, *own]

    def nothing(self) -> Updates:
        """The whole view hidden."""
        return {self.column: gr.update(visible=False)}

    def state(self, job: Job, said: History) -> Seen:
        """How many trials there are, and how many are done."""
        return len(read(job.folder).get("trials", [])), said.count[0]

    def details(self, job: Job, said: History, language: str) -> Updates:
        """The best settings, the plots and the trials."""
        came = read(job.folder)
        return {
            self.column: gr.update(visible=True),
            self.best: best(came, language, over=job.state == "done"),
            self.train: gr.update(visible=bool(came.get("params"))),
            self.table: table(came, language),
            **self._plots(came, language),
        }

    def _plots(self, came: Came, language: str) -> Updates:
        metric = str(came.get("metric", ""))
        scored = [(one["number"] + 1, one["score"]) for one in came.get("trials", []) if one["score"] is not None]
        shares = list(came.get("importance", {}).items())
        return {
            self.scores: _by_trial("score", scored, say("trials_scores", language, name=metric)),
            self.history: _by_trial("best", so_far(came), say("trials_history", language, name=metric)),
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


def _by_trial(name: str, line: Sequence[tuple[int, float]], title: str) -> Any:
    """A plot over the numbers of trials, whole ones: an axis of few numbers has halves, so they are names there."""
    few = len(line) <= NAMED
    shown = [(str(trial) if few else trial, value) for trial, value in line]
    order = [trial for trial, _ in shown] if few else None
    return _drawn(("trial", name), shown, title, sort=order, **around(line, named=few))


def around(line: Sequence[tuple[int, float]], named: bool) -> dict[str, list[float] | None]:
    """Limits of a plot with room around the points, which are cut at its edges else; names of trials have none."""
    if not line:
        return {}
    trials, values = zip(*line, strict=True)
    room = 0.05 * (max(values) - min(values)) or 0.01
    return {
        "x_lim": None if named else [min(trials) - 0.5, max(trials) + 0.5],
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


def best(came: Came, language: str, over: bool = False) -> str:
    """The best settings, so far or of a search that is over, and from which ranges."""
    if not came:
        return ""
    line = ""
    first = next((one for one in came.get("trials", []) if one["number"] == came.get("best")), None)
    if first is not None:
        key = "trials_best" if over else "trials_best_yet"
        words = say(key, language, metric=came["metric"], score=f"{first['score']:.4g}",
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
