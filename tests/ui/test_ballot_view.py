"""The blind vote on the page of a training, and what the report says of other data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmdemo.training.ballot import ANSWERS_FILE, Ballot
from mmdemo.ui import ballot_view, reports
from mmdemo.ui.tabs.train import Train
from tests.jobs.conftest import command, until
from tests.ui.handling import CHINESE, REQUEST, placed


@pytest.fixture
def tab(studio: Any) -> Train:
    return placed(Train, studio)  # type: ignore[no-any-return]


def finished(studio: Any, media: Path | None = None, rows: int = 12) -> Any:
    """A training that is done, with answers to vote on."""
    job = until(studio.jobs, studio.jobs.submit("train", "Cats", lambda folder: command(folder, 2, 0.01)).id, "done")
    answers = [
        {"origin": f"a.csv, row {place}", "media": [str(media)] if media else [], "input": "<b>What?</b>",
         "before": "old <i>", "after": "new"} for place in range(rows)
    ]  # fmt: skip
    (job.folder / ANSWERS_FILE).write_text(json.dumps(answers))
    return job


def test_answers_stand_side_by_side_with_the_media_and_nothing_says_which_is_which(
    tab: Train, studio: Any, tmp_path: Path
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "cat.png")
    finished(studio, tmp_path / "cat.png")
    shown = tab.view.opened(None, REQUEST)
    ballot = tab.view.ballot
    assert set(shown) <= set(tab.view.outputs) and shown[ballot.place]["visible"] is True
    card = shown[ballot.card]
    assert "<img" in card and "cat.png" in card and "&lt;b&gt;What?" in card and "old &lt;i&gt;" in card
    assert card.index(">A<") < card.index(">B<") and "before" not in card.replace("from before the training", "")
    assert "Votes: 0. How they stand is shown from 10 on." in shown[ballot.tally]


def test_votes_are_kept_and_how_they_stand_is_shown_in_the_end(tab: Train, studio: Any) -> None:
    job, ballot = finished(studio), tab.view.ballot
    shown = tab.view.opened(None, REQUEST)
    for count in range(1, 13):
        origin = shown[ballot.origin]
        side = "a" if Ballot(job.folder).question(origin).a == "new" else "b"
        shown = ballot.vote(shown[ballot.run], origin, side, "en")
        assert set(shown) <= set(ballot.outputs)
        assert ("Better" in shown[ballot.tally]) == (count >= 10)
    assert "after 12, before 0" in shown[ballot.tally] and "sign test, p = 0.000" in shown[ballot.tally]
    assert shown[ballot.row]["visible"] is False and "All rows have a vote." in shown[ballot.card]
    assert len((job.folder / "votes.jsonl").read_text().splitlines()) == 12
    again = tab.view.opened(job.id, CHINESE)
    assert "变好了" in again[ballot.tally] and "训练后 12" in again[ballot.tally]


def test_a_vote_on_what_is_gone_is_told_and_there_is_none_without_answers(tab: Train, studio: Any) -> None:
    job, ballot = finished(studio), tab.view.ballot
    assert "There is no row to vote on" in ballot.vote(job.id, "row 99", "a", "en")[ballot.problem]
    assert "There is no job" in ballot.vote("gone", "row 1", "a", "en")[ballot.problem]
    (job.folder / ANSWERS_FILE).unlink()
    assert tab.view.opened(job.id, REQUEST)[ballot.place]["visible"] is False


def test_what_was_forgotten_stands_in_the_report(studio: Any) -> None:
    scores = {
        "before": {"metrics": {"wer": 0.2}},
        "after": {"metrics": {"wer": 0.5}},
        "difference": {"wer": [0.1, 0.4]},
    }
    also = {"data": "news.csv", "rows": 30, "metric": "wer", "verdict": "worse", **scores}
    html = reports.html(
        {"metric": "wer", "verdict": "better", "rows": 9, "also": also, **scores}, studio.settings, "en"
    )
    assert "On data of another kind: news.csv" in html and "it has forgotten something" in html
    assert html.count("+0.100 … +0.400") == 2
    unsure = reports.html({**also, "also": {**also, "verdict": "can't tell yet: 30 rows"}}, studio.settings, "zh")
    assert "在该数据上看不出变化：30 行" in unsure


def test_a_share_of_votes_is_told_with_its_interval() -> None:
    from mmdemo.training.ballot import Tally

    html = ballot_view.tally(Tally(4, 6, 1, 1, 10, 0.6, 0.31, 0.83, 0.754, "open"), 20, "en")
    assert "60% are for after (95 %: 31% to 83%; sign test, p = 0.754)" in html and "Rows left: 8." in html
