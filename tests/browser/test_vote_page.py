"""A finished training in the browser: a blind vote with pictures, sound and video, and what was forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdemo.jobs import Jobs
from mmdemo.settings import Settings
from tests.browser.conftest import SAMPLES, serving
from tests.jobs.conftest import command, until

pytestmark = [pytest.mark.browser, pytest.mark.weights]


def test_a_person_votes_and_sees_media_and_what_was_forgotten(opened: Callable[..., Any], home: Path) -> None:
    jobs = Jobs(Settings(home=str(home)))
    job = until(jobs, jobs.submit("train", "Cats", lambda folder: command(folder, 2, 0.01)).id, "done")
    endings = {"img": "jpg", "audio": "flac", "video": "mp4"}
    media = {kind: next(SAMPLES.glob(f"*.{ending}")) for kind, ending in endings.items()}
    words = {"input": "", "before": "an old answer", "after": "a new answer", "target": "right", "gain": 0.5}
    files = [*media.values()] * 4
    rows = [{"origin": f"row {place}", "media": [str(path)], **words} for place, path in enumerate(files)]
    (job.folder / "answers.json").write_text(json.dumps(rows))
    sides = {
        "before": {"metrics": {"cider": 0.6}},
        "after": {"metrics": {"cider": 0.2}},
        "difference": {"cider": [-0.5, -0.3]},
    }
    also = {"data": "holidays.zip", "rows": 30, "metric": "cider", "verdict": "worse", **sides}
    (job.folder / "report.json").write_text(
        json.dumps({"rows": 12, "metric": "cider", "verdict": "better", **sides, "changed": rows[:4], "also": also})
    )
    with serving(home) as address:
        page = opened(address)
        page.get_by_role("tab", name="Train").click()
        report = page.locator("#mm-train-report")
        report.get_by_text("On data of another kind: holidays.zip").wait_for()
        report.get_by_text("Worse there: it has forgotten something").wait_for()
        report.get_by_text("on rows that it did not learn from").or_(
            report.get_by_text("did not learn from")
        ).first.wait_for()
        for kind in media:
            shown = report.locator(kind).first
            shown.scroll_into_view_if_needed()
            assert page.request.get(address.rstrip("/") + shown.get_attribute("src")).ok, kind
        page.get_by_role("button", name="Vote blind").click()
        for count in range(10):
            page.locator("#mm-vote-tally").get_by_text(f"Votes: {count}.").wait_for()
            page.locator("#mm-vote-card").get_by_text("a new answer").wait_for()
            page.locator("#mm-vote-same").click()
        page.locator("#mm-vote-tally").get_by_text("Can't tell yet: 10 votes").wait_for()
        page.locator("#mm-vote-tally").get_by_text("the same 10").wait_for()
        page.reload()
        page.get_by_role("tab", name="Train").click()
        page.get_by_role("button", name="Vote blind").click()
        page.locator("#mm-vote-tally").get_by_text("Can't tell yet: 10 votes").wait_for()
        page.close()
    assert len((job.folder / "votes.jsonl").read_text().splitlines()) == 10
    jobs.remove(job.id)
