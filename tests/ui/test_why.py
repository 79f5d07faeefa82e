"""Explanations on the page: words, heat maps, numbers, and the fold under a result."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo.results import Description, Explanation, Provenance, Reason, Segment, Sights, Track, Transcript
from mmdemo.tasks import caption, describe, transcribe
from mmdemo.tasks.why import Options
from mmdemo.ui import heat, why_cards
from mmdemo.ui.tabs.describe import Describe
from mmdemo.ui.why import of_description, of_track, of_transcript
from tests.ui.handling import CHINESE, REQUEST, all_of, placed

FROM = Provenance("starter-describer", "cpu", 0.4)


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def weights(*places: tuple[int, int, int], shape: tuple[int, int, int] = (1, 3, 3)) -> Any:
    made = np.zeros(shape, np.float32)
    for place in places:
        made[place] = 1 / len(places)
    return made


def explanation(file: str = "a.jpg") -> Explanation:
    half = {"vision": weights((1, 2, 0), shape=(2, 3, 3)) * 0.75, "audio": weights((0, 0, 8), shape=(1, 1, 10)) * 0.25}
    reasons = (
        Reason("A", 0.9, half, {"vision": 0.89, "audio": 0.91}),
        Reason("<bell>", 0.5, half, {"vision": 0.4, "audio": 0.001}),
    )
    pictures = (np.full((8, 8, 3), 90, np.uint8), np.full((8, 8, 3), 160, np.uint8))
    sights = Sights(pictures, (0.5, 1.5), (np.eye(8, dtype=np.int32),) * 2, np.random.rand(20, 50), 4.0, ("A", " be"),
        read=("[CLS]", "what", "?"),
    )  # fmt: skip
    return Explanation(file, "A <bell>", reasons, sights, FROM)


def test_a_heat_map_is_clear_where_nothing_counts_and_strong_where_most_does() -> None:
    image = np.asarray(opened(heat.heat(weights((0, 2, 0))[0], 1.0)))
    assert image.shape == (96, 96, 4)
    assert image[2, -3, 3] == 0 and image[-3, 2, 3] > 150
    line = np.asarray(opened(heat.heat(weights((0, 0, 9), shape=(1, 1, 10))[0], 1.0)))
    assert line.shape[0] == 1 and line[0, -2, 3] > 150 > line[0, 2, 3]


def test_the_word_that_most_needs_a_modality_is_chosen_first_and_told_in_numbers() -> None:
    html = why_cards.html(explanation(), "", "en")
    assert re.findall(r'aria-pressed="(\w+)"', html) == ["false", "true"] and "&lt;bell&gt;" in html
    assert "<bell>" not in html
    assert "without sound: &lt; 1 %" in html and "picture: 75 % of it" in html
    assert "lower left, frame at 00:01.5" in html and "00:03.4" in html
    assert html.count("mm-heat") == 2 * (2 + 1), "of each word a map on every frame and on the sound"
    assert html.count("hidden") == 1


def test_what_the_model_saw_is_shown_in_the_readers_language() -> None:
    html = why_cards.html(explanation(), "", "zh")
    for words in (
        "模型看到的内容",
        "8 × 8 像素",
        "20 个频带",
        "回答的词元：2 个",
        "读入文字的词元：3 个",
        "[CLS]",
        "没有声音时",
    ):
        assert words in html
    assert not re.search(r">[^<]*\b(without|picture|frames)\b", html)


def test_every_answer_is_explained_as_it_was_asked_for(studio: Any, tmp_path: Path) -> None:
    tab = placed(Describe, studio)
    asked = describe.Options(model="smolvlm2-256m", style="paragraph", quantization="bf16", adapter="/a")
    (item,) = of_description(Description(str(tmp_path / "a.jpg"), "A dog.", FROM), asked)
    assert item.answer == "A dog." and Options(**item.asked).style == "paragraph"
    assert item.asked["quantization"] == "bf16" and item.asked["adapter"] == "/a"
    assert tab.why.filled([item])[tab.why.fold]["visible"] is True
    assert tab.why.filled([])[tab.why.fold]["visible"] is False
    (own,) = of_description(Description("a.jpg", "Two.", FROM, question="How many?"), asked)
    assert own.answer == "Two." and own.asked["question"] == "How many?"
    (other,) = of_description(Description("a.jpg", "Two.", FROM, question="How many?", prompt="Given"), asked)
    assert other.answer == "" and "question" not in other.asked, "what another model answered is not its own"
    (tags,) = of_description(Description("a.jpg", "dog", FROM), describe.Options(style="tags"))
    assert tags.answer == ""
    spoken = Segment(1, 2, "Hello", "speech")
    track = Track("a.mp4", (Segment(1, 2, "A dog.", "scene"), spoken), FROM)
    scene, speech = of_track(track, caption.Options(model="qwen3-vl-2b", speech_model="whisper-tiny.en"))
    assert (scene.start, scene.end, scene.answer, scene.asked["model"]) == (1, 2, "A dog.", "qwen3-vl-2b")
    assert (speech.answer, speech.asked["model"], speech.asked["heard"]) == ("Hello", "whisper-tiny.en", True)
    (heard,) = of_transcript(Transcript("a.flac", (spoken,), FROM), transcribe.Options())
    assert (heard.asked["model"], heard.start, heard.end) == ("whisper-base", 1, 2)


@pytest.mark.parametrize(("request_", "words"), [(REQUEST, "shows nothing of what is"), (CHINESE, "不公开模型内部")])
def test_a_model_that_cannot_say_why_says_so_in_a_sentence(studio: Any, request_: Any, words: str) -> None:
    tab = placed(Describe, studio)
    (item,) = of_description(Description("a.jpg", "A dog.", FROM), describe.Options(model="efficientnet-lite2"))
    *_, after = all_of(tab.why.explain([item], 0, request_))
    assert words in str(after[tab.why.bench.status])


@pytest.mark.parametrize("request_", [REQUEST, CHINESE])
def test_opening_the_fold_explains_the_chosen_answer(studio: Any, tmp_path: Path, request_: Any) -> None:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), "green").save(photo)

    def reasons(files: Any, options: Any) -> Iterator[Any]:
        yield explanation(str(files[0]))

    studio.script["why"] = reasons
    tab = placed(Describe, studio)
    _, shown = all_of(tab.dropped([str(photo), str(photo)], *tab.form.defaults(), REQUEST))
    assert shown[tab.why.fold]["visible"] is True and shown[tab.why.which]["visible"] is True
    _, after = all_of(tab.why.explain(shown[tab.why.items], 1, request_))
    assert "mm-why-word" in after[tab.why.shown]
    task, files, options = studio.asked[-1]
    assert (task, files) == ("why", [photo])
    assert options.model == "starter-describer" and options.answer == "a brown dog runs through the grass"
    _, again = all_of(tab.again([str(photo)], *tab.form.defaults(), REQUEST))
    assert again[tab.why.shown] == "", "an explanation goes with its answer"
