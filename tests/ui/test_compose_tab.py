"""The tab that composes: the diagram of what is chosen, the new model, and its training."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from mmdemo.chains import Compose as Choices
from mmdemo.fusion.checkpoint import keep
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from mmdemo.training import composing
from mmdemo.ui import chain_cards
from mmdemo.ui.chain_training import is_of_chain
from mmdemo.ui.form import Form
from mmdemo.ui.tabs.compose import Compose
from tests.fusion.chains import AUDIO, VISION, model_of
from tests.fusion.chains import chain as a_chain
from tests.jobs.conftest import command
from tests.ui.handling import CHINESE, REQUEST, all_of, placed


def part(role: str, modality: str, kind: str, output: tuple[int, ...], trainable: int = 0, frozen: int = 0) -> Any:
    size = 4 * (trainable + frozen)
    return SimpleNamespace(
        role=role, modality=modality, kind=kind, output=output, trainable=trainable, frozen=frozen, bytes=size
    )


PARTS = (
    part("input", "vision", "pixels", (3, 64, 64)),
    part("encoder", "vision", "<efficient>", (81, 1280), frozen=6_100_000),
    part("projector", "vision", "mlp", (81, 576), trainable=1_070_000),
    part("fusion", "", "concat", (97, 576)),
    part("language model", "", "llama", (16, 49_152), trainable=999, frozen=134_500_000),
)


def chain(*problems: str) -> Any:
    parts = () if problems else PARTS
    return SimpleNamespace(
        parts=parts, problems=problems, trainable=sum(one.trainable for one in parts),
        frozen=sum(one.frozen for one in parts), bytes=566_000_000, training_bytes=580_000_000,
    )  # fmt: skip


@pytest.fixture
def tab(studio: Any) -> Compose:
    studio.drawn = lambda options: chain()
    return placed(Compose, studio)  # type: ignore[no-any-return]


def values(tab: Compose, **chosen: Any) -> list[Any]:
    return list((dict(zip(tab.options.components, tab.options.defaults(), strict=True)) | chosen).values())


def test_a_diagram_tells_shapes_parameters_and_memory() -> None:
    html = chain_cards.html(chain(), "en")
    assert "81 × 1,280" in html and "16 × 49,152" in html and "&lt;efficient&gt;" in html
    assert "6.1 M frozen" in html and "1.1 M learned" in html and "999 learned" in html and "134 M frozen" in html
    assert html.count("mm-link-learned") == 2 and html.count("mm-link-frozen") == 1
    assert "memory: 566 MB, while training: 580 MB" in html
    assert "冻结" in chain_cards.html(chain(), "zh")


def test_the_chain_is_drawn_again_for_other_parts_and_says_why_there_is_none(tab: Compose, studio: Any) -> None:
    asked: list[Choices] = []

    def drawn(options: Choices) -> Any:
        asked.append(options)
        return chain("The attention has no queries: choose at least one.") if options.fusion == "attention" else chain()

    studio.drawn = drawn
    _, shown = all_of(tab.draw(*values(tab), REQUEST))
    assert "mm-chain" in shown[tab.diagram]
    _, shown = all_of(tab.draw(*values(tab, fusion="attention", vision="", frames=8), CHINESE))
    assert asked[-1].frames == 8 and asked[-1].vision == ""
    assert 'role="alert"' in shown[tab.diagram] and "queries" not in shown[tab.diagram]
    _, shown = all_of(tab.draw(*values(tab, frames=10**6), REQUEST))
    assert "must be at most" in shown[tab.drawing.status]


def test_parts_of_the_catalog_and_fresh_ones_can_be_chosen(tab: Compose) -> None:
    language: Any = tab.options.components["language"]
    offered = [value for _, value in language.choices]
    assert offered[0] == "smollm2-135m-instruct" and {"transformer", "lstm"} <= set(offered)
    vision: Any = tab.options.components["vision"]
    assert [value for _, value in vision.choices][:2] == ["", "efficientnet-lite2"]
    assert tab.options.read(tab.options.defaults()) == Choices()


def test_what_is_composed_is_chosen_for_training(tab: Compose, studio: Any) -> None:
    _, shown = all_of(tab.compose("tiny eyes", *values(tab), REQUEST))
    update = shown[tab.training.model]
    assert update["value"].endswith("/chains/tiny eyes") and "Composed: tiny eyes" in shown[tab.bench.status]
    assert [title for title, _ in update["choices"]] == ["tiny eyes"]
    again = tab.training.offered("gone")
    assert again["value"] == update["value"] and again["visible"] is True


def captions(folder: Path) -> Path:
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", "caption"])
        for place in range(6):
            Image.new("RGB", (20, 20), (40 * place, 0, 0)).save(folder / f"{place}.png")
            rows.writerow([f"{place}.png", f"a red square number {place}"])
    return folder


def test_its_training_is_the_job_of_the_train_tab(tab: Compose, studio: Any, tmp_path: Path) -> None:
    all_of(tab.compose("tiny eyes", *values(tab), REQUEST))
    model = tab.training.offered(None)["value"]
    _, shown = all_of(tab.training.start(model, "", "", 0, REQUEST))
    assert "There are no data to train on yet" in shown[tab.training.drop.bench.status]
    _, shown = all_of(tab.training.start(None, "x", "", 0, CHINESE))
    assert "还没有可训练的链" in shown[tab.training.drop.bench.status]
    data = captions(tmp_path / "squares")
    _, shown = all_of(tab.training.drop.picked(str(data), REQUEST))
    assert "6 rows are ready" in shown[tab.training.drop.bench.status] and shown[tab.training.drop.data] == str(data)
    busy = studio.jobs.submit("train", "Busy", lambda folder: command(folder, 3000, 0.02))  # so that it waits
    _, shown = all_of(tab.training.start(model, str(data), shown[tab.training.task], 2.5, REQUEST))
    (job,) = [one for one in studio.jobs.all() if one.id != busy.id]
    asked = json.loads((job.folder / "run.json").read_text())
    assert asked["task"] == "image-to-text" and asked["minutes"] == 2.5 and asked["data"] == str(data)
    assert asked["model"].endswith("/chains/tiny eyes") and shown[tab.view.runs]["value"] == job.id
    assert is_of_chain(job, studio.settings) and not is_of_chain(busy, studio.settings)
    assert [value for _, value in shown[tab.view.runs]["choices"]] == [job.id], "other trainings are not shown here"
    studio.jobs.stop(job.id)
    studio.jobs.stop(busy.id)


@pytest.mark.parametrize(
    ("parts", "tabs"),
    [
        ({"vision_config": VISION["fusion_patches"], "audio_config": AUDIO["fusion_patches"][0]}, (True, True, True)),
        ({"vision_config": VISION["fusion_patches"]}, (True, True, False)),
        ({"audio_config": AUDIO["fusion_patches"][0]}, (False, False, True)),
    ],
)
def test_a_tuned_chain_is_among_the_models_of_every_tab_that_it_has_an_encoder_for(
    tmp_path: Path, parts: Any, tabs: tuple[bool, ...]
) -> None:
    settings = Settings(home=str(tmp_path), offline=True)
    folder = settings.runs_folder / "20260101-000000-aaaa" / "model"
    keep(model_of(a_chain(**parts)), folder)
    manager = Manager(settings)
    (spec,) = (row.spec for row in manager.rows() if row.spec.backend == "chain")
    for task, field, there in zip(("describe", "caption", "transcribe"), ["model"] * 3, tabs, strict=True):
        form = Form.of(task)
        values = dict(zip(form.components.values(), form.defaults(), strict=True))
        offered = form.offers(manager.rows(), {one: values[one] for one in form.models})
        keys = [key for _, key in offered[form.components[field]]["choices"]]
        assert (spec.key in keys) == there, (task, keys)
        if there:
            chosen = form.choosing(manager.rows(), spec.key)
            assert chosen[form.components[field]]["value"] == spec.key


def test_alignments_without_a_language_model_are_drawn_and_impossible_pairs_say_why(tab: Compose, studio: Any) -> None:
    projector: Any = tab.options.components["projector"]
    assert [value for _, value in projector.choices] == ["linear", "mlp", "siamese", "svm"]
    studio.drawn = lambda options: composing.chain(options, Settings.load())
    fit = {"vision": "efficientnet-lite2", "language": "smollm2-135m-instruct"}
    _, shown = all_of(tab.draw(*values(tab, **fit, projector="siamese"), REQUEST))
    html = shown[tab.diagram]
    assert "Common space" in html and "Language model" not in html and html.count("mm-link-frozen") == 2
    assert "Two towers, trained by pairs" in shown[tab.drawing.status]
    _, shown = all_of(tab.draw(*values(tab, **fit, projector="svm"), CHINESE))
    assert "一个类别的得分" in shown[tab.diagram] and "1.3 k" in shown[tab.diagram], "1,280 channels and a bias"
    assert "每个类别" in shown[tab.drawing.status]
    for reason, wrong in (
        ("takes one medium", {"projector": "siamese", "audio": "whisper-base"}),
        ("takes one medium", {"projector": "svm", "vision": ""}),
        ("no fresh patches", {"projector": "siamese", "vision": "patches"}),
        ("reads no text", {"projector": "svm", "text": "all-minilm-l6-v2"}),
        ("not 4 frames", {"projector": "siamese", "frames": 4}),
    ):
        _, shown = all_of(tab.draw(*values(tab, **{**fit, **wrong}), REQUEST))
        assert reason in shown[tab.diagram] and "do not make a chain" in shown[tab.drawing.status]


def test_what_an_alignment_does_not_read_is_off_and_says_why(tab: Compose) -> None:
    fusion, language = (tab.options.components[field] for field in ("fusion", "language"))
    for alone in ("siamese", "svm"):
        _, shown = all_of(tab.fit(alone, REQUEST))
        assert set(shown) == {fusion, language}
        assert all(one["interactive"] is False and "Not used" in one["info"] for one in shown.values())
    _, shown = all_of(tab.fit("svm", CHINESE))
    assert "不需要语言模型" in shown[fusion]["info"]
    _, shown = all_of(tab.fit("linear", CHINESE))
    assert all(one["interactive"] is True for one in shown.values())
    assert shown[fusion]["info"] == "各模态如何与文字融合。" and shown[language]["info"] is None


def test_an_svm_needs_no_composing_and_is_trained_with_labels_by_its_own_method(
    tab: Compose, studio: Any, tmp_path: Path
) -> None:
    _, shown = all_of(tab.compose("", *values(tab, projector="svm"), REQUEST))
    update = shown[tab.training.model]
    assert update["value"] == "svm:efficientnet-lite2" and "nothing to compose" in shown[tab.bench.status]
    assert update["choices"][0] == ("SVM · EfficientNet-Lite2", update["value"])
    assert tab.training.offered(update["value"])["value"] == update["value"], "it stays when the tab is opened again"
    studio.drawn = lambda options: chain("This cannot be.")
    _, shown = all_of(tab.compose("", *values(tab, projector="svm"), REQUEST))
    assert "do not make a chain" in shown[tab.bench.status] and tab.training.model not in shown
    _, shown = all_of(tab.training.start(update["value"], str(tmp_path), "image-to-text", 0, CHINESE))
    assert "请选择带标签的图片或录音" in shown[tab.training.drop.bench.status]
    busy = studio.jobs.submit("train", "Busy", lambda folder: command(folder, 3000, 0.02))
    all_of(tab.training.start(update["value"], str(tmp_path), "image-to-text image-classification", 0, REQUEST))
    (job,) = [one for one in studio.jobs.all() if one.id != busy.id]
    asked = json.loads((job.folder / "run.json").read_text())
    assert (asked["task"], asked["method"], asked["model"]) == ("image-classification", "svm", "efficientnet-lite2")
    assert is_of_chain(job, studio.settings)
    studio.jobs.stop(job.id)
    studio.jobs.stop(busy.id)
