"""A real search for settings from the page: ranges are offered, trials run, the best is trained."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdemo.jobs import Jobs
from mmdemo.settings import Settings
from tests.browser.conftest import LONG, serving
from tests.jobs.conftest import until

pytestmark = [pytest.mark.browser, pytest.mark.weights]


def test_settings_are_searched_for_in_the_page(opened: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    table = tmp_path / "moods.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows([f"I {word} number {place}.", word] for place in range(12) for word in ("like", "hate"))
    jobs = Jobs(Settings(home=str(home)))
    with serving(home, OMP_NUM_THREADS="1") as address:
        page = opened(address)
        page.get_by_role("tab", name="Train").click()
        page.locator("#mm-train-drop input[type=file]").set_input_files(table)
        page.locator("#mm-train-found").get_by_text("2 classes: like 12, hate 12").wait_for(timeout=LONG)
        page.get_by_role("button", name="Search for better settings").click()
        page.locator("#mm-trials-offer").click()
        box = page.locator("#mm-trials-ranges textarea")
        page.locator("#mm-train-status").get_by_text("These ranges suit the task").wait_for(timeout=LONG)
        assert "learning_rate=" in box.input_value() and "epochs=" in box.input_value()
        box.fill("learning_rate=1e-4..1e-2\nepochs=1..2")
        trials = page.locator("#mm-trials-trials input[type=number]").first
        trials.fill("2")
        trials.press("Tab")
        page.locator("#mm-trials-go").dblclick()
        page.locator("#mm-trials-head").get_by_text("of 2").wait_for(timeout=LONG)
        (job,) = jobs.all()
        until(jobs, job.id, "done", patience=LONG / 1000)
        page.locator("#mm-trials-best").get_by_text("Best: accuracy").wait_for(timeout=LONG)
        page.locator("#mm-trials-table").get_by_text("given up").or_(
            page.locator("#mm-trials-table").get_by_text("done")
        ).first.wait_for()
        page.locator("#mm-trials-history canvas, #mm-trials-history svg").first.wait_for(timeout=LONG)
        ticks = page.locator("#mm-trials-history .role-axis-label").first.locator("text").all_text_contents()
        assert ticks == ["1", "2"], "there is no trial and a half"
        page.locator("#mm-trials-train").click()
        page.locator("#mm-train-head").get_by_text("moods").wait_for(timeout=LONG)
        (run,) = [one for one in jobs.all() if one.kind == "train"]
        jobs.stop(run.id)
        until(jobs, run.id, "stopped", "done", patience=LONG / 1000)
        page.close()
    for one in jobs.all():
        jobs.remove(one.id)
