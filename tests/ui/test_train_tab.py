"""The tab that trains: data in, a form, one job for two clicks, and how the training stands."""

from __future__ import annotations

import csv
import json
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from mmdemo import catalog
from mmdemo.jobs import Job
from mmdemo.training import config
from mmdemo.training.config import TrainOptions
from mmdemo.training.submit import title
from mmdemo.ui import uploads
from mmdemo.ui.tabs.train import Train
from mmdemo.ui.taking import key
from tests.jobs.conftest import command, counted, until
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

ROWS = [("When does my card arrive?", "arrival"), ("It was stolen!", "lost"), ("Where is it?", "arrival")] * 4


@pytest.fixture
def tab(studio: Any) -> Train:
    return placed(Train, studio)  # type: ignore[no-any-return]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "questions.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])
    return path


def pressed(value: str, action: str) -> Any:
    return gr.EventData(None, {"value": value, "action": action})


def training(studio: Any, title: str = "Cats", steps: int = 5, *how: str) -> Job:
    return studio.jobs.submit("train", title, lambda folder: command(folder, steps, 0.02, *how))  # type: ignore[no-any-return]


def test_a_table_that_is_dropped_is_kept_shown_and_its_task_is_chosen(tab: Train, table: Path) -> None:
    _, shown = all_of(tab.drop.dropped([str(table)], REQUEST))
    kept = Path(shown[tab.data])
    assert kept.read_bytes() == table.read_bytes() and kept.is_relative_to(tab.context.studio.settings.datasets_folder)
    assert shown[tab.task] == "text-classification"
    assert "12 rows" in shown[tab.drop.found] and "2 classes: arrival 8, lost 4" in shown[tab.drop.found]
    assert (
        "When does my card arrive?" in shown[tab.rows.gallery] and "12 rows are ready" in shown[tab.drop.bench.status]
    )
    assert tab.own_sets()[tab.drop.sets]["choices"] == [(kept.parent.name, str(kept))]
    _, again = all_of(tab.drop.picked(str(kept), CHINESE))
    assert "12 行" in again[tab.drop.found] and again[tab.data] == str(kept)


def test_what_cannot_be_read_is_told_where_it_was_dropped(tab: Train, tmp_path: Path) -> None:
    bad = tmp_path / "broken.zip"
    bad.write_bytes(b"PK\x03\x04 no archive")
    _, shown = all_of(tab.drop.dropped([str(bad)], REQUEST))
    assert 'role="alert"' in shown[tab.drop.bench.status] and "broken.zip" in shown[tab.drop.bench.status]
    assert tab.drop.found not in shown and tab.data not in shown


def start(tab: Train, **values: Any) -> dict[Any, Any]:
    given = dict(zip(tab.options.components, tab.options.defaults(), strict=True)) | values
    return all_of(tab.start(*given.values(), REQUEST))[1]


def test_without_data_nothing_is_started(tab: Train) -> None:
    assert "There are no data to train on yet" in start(tab)[tab.drop.bench.status]
    assert tab.context.studio.jobs.all() == []


def test_a_training_gets_its_run_file_and_its_command(tab: Train, table: Path) -> None:
    jobs = tab.context.studio.jobs
    busy = training(tab.context.studio, "Busy", 3000)  # so that it waits
    shown = start(tab, data=str(table), epochs=2, seed=7)
    (job,) = [one for one in jobs.all() if one.id != busy.id]
    run = json.loads((job.folder / "run.json").read_text())
    assert run["data"] == str(table) and run["epochs"] == 2 and run["seed"] == 7
    assert job.argv == (sys.executable, "-m", "mmdemo.training", str(job.folder / "run.json"))
    assert job.title == "questions · text-classification" and shown[tab.view.runs]["value"] == job.id
    assert jobs.stop(job.id).state == "stopped"
    jobs.stop(busy.id)


def test_two_clicks_start_one_training_and_other_settings_another(tab: Train, table: Path) -> None:
    jobs = tab.context.studio.jobs
    busy = training(tab.context.studio, "Busy", 3000)
    clicks = [threading.Thread(target=start, args=(tab,), kwargs={"data": str(table)}) for _ in range(3)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert len([job for job in jobs.all() if job.title.startswith("questions")]) == 1
    start(tab, data=str(table), epochs=3)
    assert [job.state for job in jobs.all() if job.title.startswith("questions")] == ["queued", "queued"]
    first = jobs.all()[1]
    jobs.stop(first.id)
    start(tab, data=str(table))
    assert len(jobs.all()) == 4, "one that has ended may be done once more"
    for job in jobs.all():
        if job.state == "queued":
            jobs.stop(job.id)
    jobs.stop(busy.id)


def test_wrong_settings_are_refused_in_place(tab: Train, table: Path) -> None:
    assert "must be at most" in start(tab, data=str(table), warmup=7.0)[tab.drop.bench.status]


def test_a_training_is_watched_until_its_report(tab: Train, studio: Any) -> None:
    job = training(studio, "Cats", 60)
    counted(job, 3)
    shown = tab.view.opened(None, REQUEST)
    assert shown[tab.view.runs]["value"] == job.id and shown[tab.view.timer].active is True
    assert "of 60" in shown[tab.view.head] and shown[tab.view.done]["visible"] is False
    loss = shown[tab.view.curves.loss]
    assert loss["visible"] and list(loss["value"]["step"])[:2] == [1, 2]
    assert shown[tab.view.curves.scores[0]]["label"] == "wer on held-out rows, by step"
    assert shown[tab.view.curves.scores[1]]["visible"] is False
    tab.view.press(pressed(job.id, "stop"), job.id, REQUEST)
    until(studio.jobs, job.id, "stopped")
    assert "Resume" in tab.view.opened(job.id, REQUEST)[tab.view.head]
    tab.view.press(pressed(job.id, "resume"), job.id, REQUEST)
    until(studio.jobs, job.id, "done")
    (job.folder / "report.json").write_text(json.dumps(REPORT))
    done = tab.view.opened(job.id, REQUEST)
    assert set(done) == set(shown) <= set(tab.view.outputs)
    assert "Better" in done[tab.view.report] and "wer 0.600 → 0.200 on 9 rows" in done[tab.view.report]
    assert done[tab.view.timer].active is False
    same = tab.view.look(job.id, done[tab.view.seen], REQUEST)
    assert tab.view.curves.loss not in same and tab.view.report not in same, "what is shown is not sent again"


REPORT = {
    "rows": 9, "metric": "wer", "verdict": "better",
    "before": {"metrics": {"wer": 0.6}}, "after": {"metrics": {"wer": 0.2}}, "difference": {"wer": [-0.5, -0.3]},
    "changed": [{"origin": "a.csv, row <2>", "media": ["/gone.jpg"], "target": "one", "before": "won", "after": "one",
                 "gain": 1.0}],
}  # fmt: skip


def test_the_report_says_worse_and_cannot_tell_and_escapes_what_people_wrote(studio: Any) -> None:
    from mmdemo.ui import reports

    html = reports.html(REPORT, studio.settings, "en")
    assert "row &lt;2&gt;" in html and "-0.500 … -0.300" in html and "/gone" not in html
    open_ = reports.html({**REPORT, "verdict": "can't tell yet: 9 rows"}, studio.settings, "zh")
    assert "尚不能判断：9 行" in open_ and "a.csv 第 &lt;2&gt; 行" in open_
    assert "▼" in reports.verdict({**REPORT, "verdict": "worse"}, "en")
    assert reports.html({}, studio.settings, "en") == "" and reports.read(Path("/nowhere")) == {}
    table = reports.html({**REPORT, "report": "precision <b>", "labels": ["a", "b"], "confusion": [[3, 1], [0, 5]]},
                         studio.settings, "en")  # fmt: skip
    assert "precision &lt;b&gt;" in table and '<td class="mm-time">5</td>' in table


def test_removing_the_training_that_is_shown_shows_the_one_before(tab: Train, studio: Any) -> None:
    first = until(studio.jobs, training(studio, "First").id, "done")
    second = until(studio.jobs, training(studio, "Second").id, "done")
    shown = tab.view.press(pressed(second.id, "remove"), second.id, REQUEST)
    assert shown[tab.view.runs]["value"] == first.id
    shown = tab.view.press(pressed(first.id, "remove"), first.id, REQUEST)
    assert shown[tab.view.runs]["visible"] is False and shown[tab.view.head] == ""
    assert "There is no job" in tab.view.press(pressed(first.id, "stop"), "", REQUEST)[tab.view.problem]


def test_the_drawer_opens_the_training_here(tab: Train, studio: Any) -> None:
    job = until(studio.jobs, training(studio).id, "done")
    place, *rest = tab.show(pressed(job.id, "show"), REQUEST)
    assert place.selected == "train" and len(rest) == len(tab.outputs)
    assert rest[tab.view.outputs.index(tab.view.runs)]["value"] == job.id


def test_a_model_is_taken_away_in_the_forms_that_it_can_be_had_in(tab: Train, studio: Any) -> None:
    job = until(studio.jobs, training(studio).id, "done")
    assert tab.view.opened(job.id, REQUEST)[tab.view.done]["visible"] is False, "there is no model yet"
    for name in ("model/adapter/adapter_model.safetensors", "checkpoints/1.pt"):
        (job.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (job.folder / name).write_text("{}")
    (job.folder / "model" / "config.json").write_text('{"model_type": "bert"}')
    config.write(TrainOptions(data="cats.csv"), job.folder)
    shown = tab.view.opened(job.id, REQUEST)
    assert shown[tab.view.done]["visible"] is True
    assert [form for _, form in shown[tab.view.form]["choices"]] == ["zip", "adapter"]
    for form, names in (
        (
            "zip",
            {"model/config.json", "model/adapter/adapter_model.safetensors", "README.md", "requirements.txt", "run.py"},
        ),
        ("adapter", {"adapter/adapter_model.safetensors"}),
    ):
        _, shown = all_of(tab.view.packed(job.id, form, REQUEST))
        with zipfile.ZipFile(shown[tab.view.zip]["value"]) as packed:
            assert set(packed.namelist()) == names
    _, shown = all_of(tab.view.packed("gone", "zip", REQUEST))
    assert "There is no job" in shown[tab.view.bench.status] and shown[tab.view.zip]["visible"] is False


def test_a_tuned_model_can_be_used_and_tuned_further(tab: Train, studio: Any) -> None:
    from mmdemo.runtime.standing import Row
    from mmdemo.ui.form import Form

    job = until(studio.jobs, training(studio).id, "done")
    (job.folder / "model").mkdir()
    (job.folder / "model" / "config.json").write_text('{"model_type": "mmdemo_fusion"}')
    spec = catalog.get(key(job))
    studio.own[spec.key] = Row(spec, True, False, 1)
    assert tab.view.opened(job.id, REQUEST)[tab.view.use]["visible"] is True
    form = Form.of("describe")
    chosen = form.choosing(studio.rows(), spec.key)
    assert chosen[form.components["model"]]["value"] == spec.key and len(chosen) == 1
    assert Form.of("transcribe").choosing(studio.rows(), spec.key) == {}
    assert (spec.title, spec.key) in tab.bases("image-to-text", "")["choices"]
    assert spec.key not in dict(tab.bases("automatic-speech-recognition", "")["choices"]).values()


def test_uploads_are_kept_under_their_names_and_once(studio: Any, tmp_path: Path) -> None:
    def files(words: Sequence[str]) -> list[Path]:
        for number, text in enumerate(words):
            (tmp_path / f"{number}.txt").write_text(text)
        return [tmp_path / f"{number}.txt" for number in range(len(words))]

    folder = uploads.keep(files(["a", "b"]), studio.settings)
    assert sorted(one.name for one in folder.iterdir()) == ["0.txt", "1.txt"]
    assert uploads.keep(files(["a", "b"]), studio.settings) == folder
    assert uploads.keep(files(["a", "c"]), studio.settings) != folder
    assert len(uploads.own(studio.settings)) == 2


def test_a_title_names_the_data_and_what_begins(tab: Train) -> None:
    options = tab.options.read(tab.options.defaults())
    from dataclasses import replace

    assert title(replace(options, data="/x/cats.zip", model="starter-describer")) == "cats · Starter describer"
