"""A tuned classifier is tried where its training is shown, and by the endpoint: a real one, learned in the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo.jobs import Job
from mmdemo.media.audio import RATE, write_wav
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from mmdemo.training.run import run
from mmdemo.ui.tabs.train import Train
from tests.browser.conftest import serving
from tests.jobs.conftest import command, until
from tests.tasks.test_classify import models  # noqa: F401  # a fixture
from tests.training import toys
from tests.training.test_text_recipes import tagged
from tests.ui.handling import REQUEST, all_of, placed


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    made = Studio(Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True))
    yield made
    made.close()


def finished(studio: Studio, model: Path) -> Job:
    """A training that is done, with this model."""
    job = until(studio.jobs, studio.jobs.submit("train", "Cats", lambda folder: command(folder, 2, 0.01)).id, "done")
    model.rename(job.folder / "model")
    (job.folder / "run.json").write_text('{"data": "/x/rows.jsonl", "task": "text-classification"}')
    return job


def learned(folder: Path, studio: Studio, **values: Any) -> Path:
    """The model of a run that really learned."""
    made = toys.a_run(folder / "run", model=str(toys.bert(folder / "bert")), learning_rate=3e-3, **values)
    assert run(made, replace(studio.settings)) == 0
    return made / "model"


def test_a_text_is_classified_in_the_panel_and_by_the_endpoint(studio: Studio, tmp_path: Path) -> None:
    data = toys.table(tmp_path / "rows.jsonl", toys.sentences(120))
    job = finished(studio, learned(tmp_path, studio, task="text-classification", data=str(data), epochs=12))
    tab = placed(Train, studio)
    panel = tab.view.trying
    shown = tab.view.opened(job.id, REQUEST)
    assert set(shown) <= set(tab.view.outputs)
    assert shown[panel.place]["visible"] and shown[panel.text]["visible"] and not shown[panel.drop]["visible"]
    assert shown[tab.view.use]["visible"] is False, "it is tried here"
    for word, other in (("likes", "hates"), ("hates", "likes")):
        _, shown = all_of(panel.read(job.id, f"anna {word} the <b>sea</b>", REQUEST))
        said = shown[panel.result]
        assert said.index(word) < said.index(other) and "mm-labels" in said and "<b>" not in said
        assert "rows · text-classification" in said and "folder:" not in said, "a name, and no path"
    _, shown = all_of(panel.read(job.id, "  ", REQUEST))
    assert "There is nothing to classify" in shown[panel.bench.status] and panel.result not in shown
    assert tab.view.trying.fresh()[panel.result] == ""
    answers_by_endpoint(studio, job, tmp_path)


def answers_by_endpoint(studio: Studio, job: Job, tmp_path: Path) -> None:
    """The program is served, and a client of its API asks for a text and for two files."""
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    with serving(Path(studio.settings.home), MMDEMO_THREADS="1") as address:
        client = Client(address, verbose=False)
        (one,) = client.predict(files=[], model=str(job.folder), text="tom hates paris", labels=1, api_name="/classify")
        assert one["text"] == "hates" and [label["name"] for label in one["labels"]] == ["hates"]
        assert 0.5 < one["labels"][0]["probability"] <= 1
        for name, words in (("a.txt", "anna likes the sea"), ("b.txt", "tom hates red")):
            (tmp_path / name).write_text(words)
        found = client.predict(
            files=[handle_file(tmp_path / "a.txt"), handle_file(tmp_path / "b.txt")], model=str(job.folder),
            api_name="/classify",
        )  # fmt: skip
        assert [one["text"] for one in found] == ["likes", "hates"]
        with pytest.raises(AppError, match="There is nothing to classify"):
            client.predict(files=[], model=str(job.folder), api_name="/classify")
        client.close()


def test_what_a_tagger_names_is_marked(studio: Studio, tmp_path: Path) -> None:
    data = toys.table(tmp_path / "rows.jsonl", tagged(150))
    job = finished(studio, learned(tmp_path, studio, task="token-classification", data=str(data), epochs=15))
    panel = placed(Train, studio).view.trying
    _, shown = all_of(panel.read(job.id, "anna likes berlin", REQUEST))
    said = shown[panel.result]
    assert '<mark class="mm-named">anna <small>PER' in said and "berlin <small>LOC" in said
    _, shown = all_of(panel.read(job.id, "the sea", REQUEST))
    assert "It names nothing in this text" in shown[panel.result]


def test_a_picture_and_a_recording_are_dropped(
    studio: Studio,
    tmp_path: Path,
    models: dict[str, Path],  # noqa: F811
) -> None:
    import shutil

    tab = placed(Train, studio)
    panel = tab.view.trying
    Image.new("RGB", (40, 30), "red").save(tmp_path / "cat.png")
    write_wav(tmp_path / "tone.wav", np.sin(np.arange(RATE) / 9).astype(np.float32))
    for kind, name, classes in (("image", "cat.png", ("cat", "dog", "cow")), ("audio", "tone.wav", ("high", "low"))):
        shutil.copytree(models[kind], tmp_path / kind)
        job = finished(studio, tmp_path / kind)
        shown = tab.view.opened(job.id, REQUEST)
        assert shown[panel.drop]["visible"] and not shown[panel.text]["visible"]
        _, shown = all_of(panel.given(job.id, str(tmp_path / name), REQUEST))
        assert all(one in shown[panel.result] for one in classes) and shown[panel.drop] is None
        assert ("<img" if kind == "image" else "<audio") in shown[panel.result]
    _, shown = all_of(panel.given(job.id, str(tmp_path / "cat.png"), REQUEST))
    assert 'role="alert"' in shown[panel.bench.status], "a picture is no recording"
