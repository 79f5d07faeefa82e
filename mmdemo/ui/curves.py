"""What a training has said so far as curves over its steps: loss, each score, learning rate, speed and memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gradio as gr

from mmdemo.jobs.events import Event, History
from mmdemo.ui.bench import Updates
from mmdemo.ui.i18n import label, say

MOST = 400
"""Points of a curve that are drawn: more cannot be seen, and the browser redraws them every few seconds."""
SCORES = 4
"""Scores that have a curve; each has one of its own, so that none is told from another by its colour alone."""
OTHERS = {"learning_rate": "curve_rate", "samples_per_second": "curve_speed", "memory": "curve_memory"}
"""Fields of a report of progress that have a curve beside loss and scores, and its name."""
UNITS = {"memory": 1e9}
"""What a curve's values are divided by: bytes become gigabytes."""
Point = tuple[int, float]


class Curves:
    """Plots side by side; each shows once it has a line to draw."""

    def __init__(self, tab: str = "train") -> None:
        """Place them here; `tab` begins their names."""
        with gr.Row(elem_classes=["mm-curves"]):
            self.loss = _plot(f"mm-{tab}-loss")
            self.scores = [_plot(f"mm-{tab}-score-{number}") for number in range(SCORES)]
            self.others = {field: _plot(f"mm-{tab}-{name.removeprefix('curve_')}") for field, name in OTHERS.items()}

    @property
    def outputs(self) -> list[Any]:
        """The plots."""
        return [self.loss, *self.scores, *self.others.values()]

    def updates(self, said: History | None, language: str) -> Updates:
        """The curves of a training; nothing is shown where there is none."""
        steps = list(said.progress.values()) if said else []
        scores = list(scored(said.metrics.values() if said else []).items())[:SCORES]
        drawn = {self.loss: _drawn(list(points(steps, "loss")), say("curve_loss", language))}
        for field, name in OTHERS.items():
            line = [(step, value / UNITS.get(field, 1)) for step, value in points(steps, field)]
            drawn[self.others[field]] = _drawn(line, say(name, language))
        for place, plot in enumerate(self.scores):
            name, line = scores[place] if place < len(scores) else ("", [])
            drawn[plot] = _drawn(line, say("curve_score", language, name=name))
        return drawn


def _plot(elem_id: str) -> gr.LinePlot:
    return gr.LinePlot(
        x="step", y="value", height=232, label=label("curve_loss"), show_label=True, visible=False, buttons=[],
        min_width=240, elem_id=elem_id, elem_classes=["mm-curve"],
    )  # fmt: skip


def _drawn(line: Sequence[Point], name: str) -> Any:
    """An update of one plot; a single point is no line."""
    if len({step for step, _ in line}) < 2:
        return gr.update(visible=False)
    import pandas

    frame = pandas.DataFrame(thinned(line), columns=["step", "value"])
    return gr.update(value=frame, visible=True, label=name, x_title=" ", y_title=" ")


def points(events: Iterable[Event], field: str) -> Iterator[Point]:
    """One field of the reports of progress, where it is a number."""
    for event in events:
        value = event.get(field)
        if isinstance(value, int | float) and isinstance(event.get("step"), int):
            yield int(event["step"]), float(value)


def scored(events: Iterable[Event]) -> dict[str, list[Point]]:
    """Each score on held-out rows, by step."""
    lines: dict[str, list[Point]] = {}
    for event in sorted(events, key=lambda one: int(one.get("step") or 0)):
        if event.get("split") in (None, "", "validation"):
            for name, value in numbers(event).items():
                lines.setdefault(name, []).append((int(event.get("step") or 0), value))
    return lines


def numbers(event: Event) -> dict[str, float]:
    """The scores of an event that are numbers."""
    return {
        str(name): float(value)
        for name, value in event.get("values", {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def thinned(line: Sequence[Point], most: int = MOST) -> list[Point]:
    """At most `most` of the points: the mean of each stretch at its last step."""
    if len(line) <= most:
        return list(line)
    size = -(-len(line) // most)
    stretches = [line[at : at + size] for at in range(0, len(line), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in stretches]
