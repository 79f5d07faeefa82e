"""The drawer of jobs: what it says of each, and what its buttons do."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from mmdemo.jobs import Job
from mmdemo.jobs.events import History
from mmdemo.ui import job_cards
from mmdemo.ui.drawer import Drawer
from tests.jobs.conftest import command, counted, until
from tests.ui.handling import CHINESE, REQUEST, placed


def pressed(key: str, action: str) -> Any:
    return gr.EventData(None, {"value": key, "action": action})


def read(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def job(folder: Path, **values: Any) -> Job:
    now = time.time()
    given = {"started": now - 30, "ended": now, "created": now - 40} | values
    return Job("20260101-120000-ab", "train", "My <cats>", folder, ("x",), **given)  # type: ignore[arg-type]


def said(folder: Path, *lines: str) -> History:
    (folder / "events.jsonl").write_text("".join(line + "\n" for line in lines))
    found = History(folder / "events.jsonl")
    found.refresh()
    return found


PROGRESS = [f'{{"time": {1000 + step}, "kind": "progress", "step": {step}, "steps": 40}}' for step in range(1, 11)]


def test_a_job_that_runs_says_what_it_does_how_far_it_is_and_how_long_still(tmp_path: Path) -> None:
    html = job_cards.card(job(tmp_path, state="running"), said(tmp_path, *PROGRESS), "en")
    assert "Training" in html and "10 of 40 · 25 % · 30 s · about 30 s left" in read(html)
    assert 'aria-valuenow="25"' in html and "My &lt;cats&gt;" in html and "<cats>" not in html
    assert re.findall(r'data-mm-action="(\w+)"', html) == ["show", "stop"]
    assert 'aria-label="Stop My &lt;cats&gt;"' in html


@pytest.mark.parametrize(
    ("state", "words", "buttons"),
    [
        ("queued", "Waits for the job before it", ["show", "stop"]),
        ("stopping", "Finishing the step and keeping it", ["show"]),
        ("stopped", "took 30 s · 10 of 40", ["show", "resume", "remove"]),
        ("failed", "⚠ The disk is full: make room, then resume.", ["show", "resume", "remove"]),
        ("lost", "interrupted", ["show", "resume", "remove"]),
        ("done", "took 30 s", ["show", "remove"]),
    ],
)
def test_each_state_has_its_words_and_its_buttons(tmp_path: Path, state: Any, words: str, buttons: list[str]) -> None:
    message = "The disk is full: make room, then resume." if state == "failed" else ""
    html = job_cards.card(job(tmp_path, state=state, message=message), said(tmp_path, *PROGRESS), "en")
    assert words in read(html) and re.findall(r'data-mm-action="(\w+)"', html) == buttons


def test_it_is_chinese_throughout(tmp_path: Path) -> None:
    words = "It crashed (signal 11): resume to try again, or read its log."
    for state in ("queued", "running", "stopping", "stopped", "failed", "done"):
        one = job(tmp_path, state=state, message=words if state == "failed" else "")
        text = read(job_cards.card(one, said(tmp_path, *PROGRESS), "zh")).replace("My &lt;cats&gt;", "")
        assert re.findall("[A-Za-z]{2,}", text) == []


def test_while_nothing_runs_the_drawer_is_quiet(studio: Any) -> None:
    drawer = placed(Drawer, studio)
    shown = drawer.look("", REQUEST)
    assert "Nothing runs" in shown[drawer.list] and shown[drawer.timer].active is False
    assert shown[drawer.button]["value"] == "Jobs"
    assert drawer.list not in drawer.look(shown[drawer.seen], REQUEST), "what is shown already is not sent again"
    assert not studio.jobs.store.path.exists()


def test_a_job_is_watched_stopped_resumed_and_removed_in_the_drawer(studio: Any) -> None:
    drawer = placed(Drawer, studio)
    one = studio.jobs.submit("train", "Cats", lambda folder: command(folder, 60, 0.05))
    counted(one, 2)
    shown = drawer.look("", CHINESE)
    assert shown[drawer.button]["value"] == "任务 · 1" and shown[drawer.timer].active is True
    assert "/ 60" in shown[drawer.list]
    assert drawer.press(pressed(one.id, "stop"), REQUEST)[drawer.problem] == ""
    until(studio.jobs, one.id, "stopped")
    assert drawer.look("", REQUEST)[drawer.timer].active is False
    assert "running" in drawer.press(pressed(one.id, "resume"), REQUEST)[drawer.list]
    refused = drawer.press(pressed(one.id, "remove"), REQUEST)
    assert "Cats still runs: stop it first" in refused[drawer.problem]
    until(studio.jobs, one.id, "done")
    assert "Nothing runs" in drawer.press(pressed(one.id, "remove"), REQUEST)[drawer.list]
    for action in ("stop", "explode"):
        assert "There is no" in drawer.press(pressed(one.id, action), REQUEST)[drawer.problem]


def test_a_list_that_cannot_be_read_is_told_in_the_drawer(studio: Any) -> None:
    studio.jobs.store.path.write_text("no database " * 100)
    drawer = placed(Drawer, studio)
    assert "cannot be used" in drawer.look("", REQUEST)[drawer.list]
