"""A search on the tab that trains: its form, one job for two clicks, its trials, a training with the best."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from mmdemo.ui import trials_view
from mmdemo.ui.tabs.train import Train
from tests.jobs.conftest import command, until
from tests.training import toys
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

CAME = {
    "metric": "wer", "lower": True, "best": 1, "params": {"learning_rate": 0.002, "epochs": 4}, "seconds": 9.0,
    "ranges": ["learning_rate=0.0001..0.01", "epochs=2..6"], "importance": {"learning_rate": 0.8, "epochs": 0.2},
    "trials": [
        {"number": 0, "state": "complete", "score": 0.4, "params": {"learning_rate": 0.01, "epochs": 2}, "why": ""},
        {"number": 1, "state": "complete", "score": 0.2, "params": {"learning_rate": 0.002, "epochs": 4}, "why": ""},
        {"number": 2, "state": "pruned", "score": 0.9, "params": {"learning_rate": 1e-4, "epochs": 3},
         "why": "It fell behind the others."},
        {"number": 3, "state": "fail", "score": None, "params": {}, "why": "It is tried again."},
        {"number": 4, "state": "complete", "score": 0.3, "params": {"learning_rate": 0.003, "epochs": 4}, "why": ""},
    ],
}  # fmt: skip


@pytest.fixture
def tab(studio: Any) -> Train:
    return placed(Train, studio)  # type: ignore[no-any-return]


def given(tab: Train, **values: Any) -> list[Any]:
    """The values of both forms."""
    run = dict(zip(tab.options.components, tab.options.defaults(), strict=True))
    how = dict(zip(tab.how.components, tab.how.defaults(), strict=True))
    run |= {name: value for name, value in values.items() if name in run}
    how |= {name: value for name, value in values.items() if name in how}
    return [*run.values(), *how.values()]


def searched(tab: Train, came: dict[str, Any] | None = None) -> Any:
    """A search that is done, and what came of it."""
    jobs = tab.context.studio.jobs
    job = until(jobs, jobs.submit("search", "Cats", lambda folder: command(folder, 2, 0.01)).id, "done")
    (job.folder / "trials.json").write_text(json.dumps(came or CAME))
    run = {"task": "text-classification", "data": "/x/cats.csv", "epochs": 9}
    (job.folder / "search.json").write_text(json.dumps({"run": run, "search": {}}))
    return job


def test_a_search_is_one_job_for_two_clicks_with_its_file(tab: Train, tmp_path: Path) -> None:
    jobs = tab.context.studio.jobs
    busy = jobs.submit("train", "Busy", lambda folder: command(folder, 3000, 0.02))
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(8))
    values = given(tab, data=str(data), epochs=3, trials=7, ranges="batch=4,8")
    for _ in range(2):
        _, shown = all_of(tab.search(*values, REQUEST))
    (job,) = [one for one in jobs.all() if one.kind == "search"]
    assert shown[tab.trials.runs]["value"] == job.id and shown[tab.trials.column]["visible"] is True
    file = json.loads((job.folder / "search.json").read_text())
    assert file["run"]["epochs"] == 3 and file["search"]["trials"] == 7 and file["search"]["ranges"] == "batch=4,8"
    assert job.argv == (sys.executable, "-m", "mmdemo.training.search", str(job.folder))
    jobs.stop(job.id)
    jobs.stop(busy.id)


def test_without_data_or_with_a_wrong_range_nothing_is_started(tab: Train) -> None:
    _, shown = all_of(tab.search(*given(tab), REQUEST))
    assert "There are no data to train on yet" in shown[tab.drop.bench.status]
    _, shown = all_of(tab.search(*given(tab, data="/x", ranges="epochs=9..2"), CHINESE))
    assert "epochs 的范围终点小于起点" in shown[tab.drop.bench.status]
    assert tab.context.studio.jobs.all() == []


def test_ranges_are_offered_by_task_and_data(tab: Train, tmp_path: Path) -> None:
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(8))
    values = given(tab, data=str(data), method="lora")[: len(tab.options.inputs)]
    _, shown = all_of(tab.ranges(*values, REQUEST))
    lines = shown[tab.how.components["ranges"]].splitlines()
    assert {line.partition("=")[0] for line in lines} >= {"learning_rate", "lora_rank", "dropout"}
    _, shown = all_of(tab.ranges(*given(tab)[: len(tab.options.inputs)], REQUEST))
    assert "There are no data to train on yet" in shown[tab.drop.bench.status]


def test_what_is_best_may_change_until_the_search_is_over() -> None:
    assert "Best so far: wer 0.2" in trials_view.best(CAME, "en")
    over = trials_view.best(CAME, "zh", over=True)
    assert "最佳：wer 0.2" in over and "至今" not in over


def test_trials_are_listed_plotted_and_the_best_is_trained(tab: Train) -> None:
    view, jobs = tab.trials, tab.context.studio.jobs
    assert view.opened(None, REQUEST)[view.column]["visible"] is False
    job = searched(tab)
    shown = view.opened(None, REQUEST)
    assert set(shown) <= set(view.outputs)
    assert "Best: wer 0.2 with learning_rate 0.002, epochs 4" in shown[view.best]
    assert list(shown[view.scores]["value"]["trial"]) == ["1", "2", "3", "5"]
    assert list(shown[view.history]["value"]["best"]) == [0.4, 0.2, 0.2]
    assert dict(zip(*(shown[view.mattered]["value"][name] for name in ("setting", "share")), strict=True)) == {
        "learning_rate": 0.8, "epochs": 0.2,
    }  # fmt: skip
    table = shown[view.table]
    assert table.index("0.2<") < table.index("0.3<") < table.index("0.9<") < table.index("–<")
    assert "given up: It fell behind the others." in table
    assert "落后于其他试验" in view.opened(job.id, CHINESE)[view.table]
    assert view.table not in view.look(job.id, shown[view.seen], REQUEST), "what is shown is not sent again"
    busy = jobs.submit("train", "Busy", lambda folder: command(folder, 3000, 0.02))
    _, after = all_of(tab.best(job.id, REQUEST))
    (run,) = [one for one in jobs.all() if one.kind == "train" and one.id != busy.id]
    values = json.loads((run.folder / "run.json").read_text())
    assert values["learning_rate"] == 0.002 and values["epochs"] == 4 and after[tab.view.runs]["value"] == run.id
    for one in (run, busy):
        jobs.stop(one.id)


def test_the_axis_of_trials_has_whole_numbers_in_their_order(tab: Train) -> None:
    def history(count: int) -> Any:
        rows = [{"number": one, "state": "complete", "score": 0.5, "params": {}, "why": ""} for one in range(count)]
        job = searched(tab, {**CAME, "trials": rows})
        return tab.trials.opened(job.id, REQUEST)[tab.trials.history]

    few, many = history(11), history(60)
    assert few["sort"] == list(few["value"]["trial"]) == [str(one) for one in range(1, 12)], "10 is not after 1"
    assert few["x_lim"] is None, "another search before it may have had limits"
    assert many["value"]["trial"].tolist() == list(range(1, 61)) and many["sort"] is None
    assert many["x_lim"] == [0.5, 60.5]


def test_a_search_without_a_result_trains_nothing_and_is_removed(tab: Train) -> None:
    view, jobs = tab.trials, tab.context.studio.jobs
    job = searched(tab, {"metric": "wer", "trials": [], "params": {}})
    shown = view.opened(None, REQUEST)
    assert shown[view.train]["visible"] is False and shown[view.scores]["visible"] is False
    _, after = all_of(tab.best(job.id, REQUEST))
    assert "no settings yet" in after[view.problem]
    pressed: Any = gr.EventData(None, {"value": job.id, "action": "remove"})
    assert view.press(pressed, job.id, REQUEST)[view.column]["visible"] is False and not job.folder.exists()
    assert jobs.all() == []


def test_the_drawer_shows_a_search_where_it_belongs(tab: Train) -> None:
    job = searched(tab)
    pressed: Any = gr.EventData(None, {"value": job.id, "action": "show"})
    updates = dict(zip([None, *tab.outputs], tab.show(pressed, REQUEST), strict=True))
    assert updates[tab.trials.runs]["value"] == job.id
