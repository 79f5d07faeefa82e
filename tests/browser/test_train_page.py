"""A real training from the page: data in, started twice by a double click, stopped, resumed elsewhere, its report."""

from __future__ import annotations

import csv
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdemo.jobs import Jobs
from mmdemo.settings import Settings
from tests.browser.conftest import LONG, ROOT, serving
from tests.jobs.conftest import command, until

pytestmark = [pytest.mark.browser, pytest.mark.weights]
QUESTIONS = {
    "arrival": "When does my {} arrive? I wait for the {}.",
    "lost": "Somebody stole my {}, the {} is lost.",
}
THINGS = ("card", "letter", "parcel", "phone", "key", "ticket", "passport", "bag", "book", "watch", "ring", "coat")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "questions.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for label, words in QUESTIONS.items():
            rows.writerows([words.format(first, second), label] for first in THINGS for second in THINGS[:2])
    return path


def choose(page: Any, name: str, value: str) -> None:
    """Write a number of the form."""
    box = page.locator(f"#mm-train-{name} input[type=number]").first
    box.fill(value)
    box.press("Tab")


def test_a_model_is_tuned_in_the_page(opened: Callable[..., Any], home: Path, table: Path, tmp_path: Path) -> None:
    jobs = Jobs(Settings(home=str(home)))
    with serving(home, OMP_NUM_THREADS="1") as address:
        page = opened(address)
        page.get_by_role("tab", name="Train").click()
        page.locator("#mm-train-go").click()
        page.locator("#mm-train-status [role=alert]").get_by_text("There are no data to train on yet").wait_for()
        page.locator("#mm-train-drop input[type=file]").set_input_files(table)
        page.locator("#mm-train-found").get_by_text("2 classes: arrival 24, lost 24").wait_for(timeout=LONG)
        page.locator("#mm-train-task input").wait_for()
        assert page.locator("#mm-train-task input").input_value() == "Classify text"
        page.get_by_role("button", name="More settings").locator("visible=true").click()
        choose(page, "epochs", "20")
        page.locator("#mm-train-go").dblclick()
        head = page.locator("#mm-train-head")
        head.get_by_text("running").wait_for(timeout=LONG)
        head.get_by_text("of 40").wait_for(timeout=LONG)
        page.locator("#mm-train-loss canvas, #mm-train-loss svg").first.wait_for(timeout=LONG)
        assert len(jobs.all()) == 1, "two clicks start one training"
        (job,) = jobs.all()
        head.get_by_role("button", name="Stop").click()
        head.get_by_role("button", name="Resume").wait_for(timeout=LONG)
        assert jobs.get(job.id).state == "stopped"
        page.close()

        phone = opened(address, width=390)
        phone.get_by_role("tab", name="Train").click()
        head = phone.locator("#mm-train-head")
        head.get_by_role("button", name="Resume").click(timeout=LONG)
        head.get_by_role("button", name="Stop").wait_for(timeout=LONG)
        phone.close()

    done = until(jobs, job.id, "done", patience=LONG / 1000)  # with nobody looking, and the studio closed
    assert done.attempt == 2
    with serving(home) as address:
        page = opened(address)
        page.locator("#mm-jobs-open").click()
        page.get_by_role("button", name="Show questions").click()
        page.locator("#mm-train-report .mm-verdict").get_by_text("rows that it did not learn from").wait_for()
        page.locator("#mm-jobs-close").click()
        page.locator("#mm-train-pack").click()
        link = page.locator("#mm-train-zip")
        link.wait_for(timeout=LONG)
        with page.expect_download() as download:
            link.click()
        archive = tmp_path / "tuned.zip"
        download.value.save_as(archive)
        assert {"run.py", "README.md", "model/config.json"} <= set(zipfile.ZipFile(archive).namelist())
        page.get_by_role("tab", name="Models").click()
        page.on("dialog", lambda dialog: dialog.accept())
        page.locator("#mm-jobs-open").click()
        page.get_by_role("button", name="Remove questions").click()
        page.get_by_text("Nothing runs.").wait_for(timeout=LONG)
        page.close()
    assert not job.folder.exists()


def test_a_tuned_model_is_chosen_where_it_can_be_used(opened: Callable[..., Any], home: Path) -> None:
    jobs = Jobs(Settings(home=str(home)))
    job = jobs.submit("train", "Cats", lambda folder: command(folder, 2, 0.01))
    until(jobs, job.id, "done")
    shutil.copytree(ROOT / "assets" / "starter", job.folder / "model")
    (job.folder / "run.json").write_text('{"data": "/x/cats.zip", "model": "starter-describer"}')
    with serving(home) as address:
        page = opened(address)
        page.get_by_role("tab", name="Train").click()
        page.locator("#mm-train-use").click()
        page.get_by_role("tab", name="Describe", selected=True).wait_for()
        page.locator("#mm-header").get_by_text("cats · starter-describer").wait_for()
        assert page.locator("#mm-describe-model input").input_value() == "cats · starter-describer"
        jobs.remove(job.id)
        page.reload()
        page.locator("#mm-header").get_by_text("Starter describer").wait_for()
        page.close()
