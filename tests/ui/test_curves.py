"""Curves of a training: what is drawn of what it said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import gradio as gr

from mmdemo.jobs.events import History
from mmdemo.training.events import EVENTS_FILE, Events
from mmdemo.ui.curves import Curves


async def placed() -> Curves:
    """In a running event loop, since Gradio leaves one open where there is none."""
    with gr.Blocks():
        return Curves()


def test_loss_scores_learning_rate_speed_and_memory_each_have_a_curve(tmp_path: Path) -> None:
    events = Events(tmp_path)
    for step in (1, 2, 3):
        events("progress", step=step, steps=3, loss=1 / step, learning_rate=0.1, samples_per_second=8.0 * step,
               memory=step * 500_000_000)  # fmt: skip
        events("metric", step=step, split="validation", values={"wer": 0.5})
    said = History(tmp_path / EVENTS_FILE)
    said.refresh()
    curves = asyncio.run(placed())
    shown = {update["label"]: update["value"] for update in curves.updates(said, "en").values() if update["visible"]}
    assert list(shown) == [
        "Loss, by step", "Learning rate, by step", "Rows a second, by step", "Memory in GB, by step",
        "wer on held-out rows, by step",
    ]  # fmt: skip
    assert list(shown["Rows a second, by step"]["value"]) == [8.0, 16.0, 24.0]
    assert list(shown["Memory in GB, by step"]["value"]) == [0.5, 1.0, 1.5]
    assert not any(update["visible"] for update in curves.updates(None, "en").values())
