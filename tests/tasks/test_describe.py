"""Describing pictures: growing sentences, questions, batches, and what goes wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from mmdemo.errors import Cancelled, UnknownName, UnreadableMedia, Unsupported
from mmdemo.results import Description
from mmdemo.runtime.base import Seen
from mmdemo.runtime.calls import Call
from mmdemo.runtime.sources import Progress
from mmdemo.tasks.describe import Options, alt_text, found, run
from tests.tasks.scripted import ScriptedDescriber, ScriptedManager, ScriptedTalker


def picture(folder: Path, name: str = "a.png", words: str = "") -> Path:
    image = Image.new("RGB", (320, 120), "white")
    if words:
        ImageDraw.Draw(image).text((20, 30), words, fill="black", font=ImageFont.load_default(48))
    image.save(folder / name)
    return folder / name


def results(manager: Any, files: list[Path], **options: Any) -> list[Description]:
    options = {"read_text": "no"} | options
    events = run(manager, files, Options(**options), lambda: False)
    return [event for event in events if isinstance(event, Description)]


def test_a_sentence_grows_word_by_word_until_it_is_done(tmp_path) -> None:
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A dog runs."])})
    grown = results(manager, [picture(tmp_path)])
    assert [(result.text, result.done) for result in grown] == [
        ("A", False),
        ("A dog", False),
        ("A dog runs.", True),
    ]
    assert grown[-1].provenance.model == "starter-describer"
    assert grown[-1].file == str(tmp_path / "a.png")


def test_loading_is_reported_before_the_first_word(tmp_path) -> None:
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A dog."])})
    first = next(run(manager, [picture(tmp_path)], Options(read_text="no"), lambda: False))
    assert first == Progress("Loading starter-describer")


def test_as_many_labels_as_wished_stand_beside_the_sentence(tmp_path) -> None:
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A dog."])})
    for wished in (0, 2):
        assert len(results(manager, [picture(tmp_path)], labels=wished)[-1].labels) == wished


def test_the_words_in_a_picture_are_read(tmp_path) -> None:
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A sign."])})
    grown = results(manager, [picture(tmp_path, words="OPEN DAILY")], read_text="auto")
    assert grown[-1].done and grown[-1].text_read == ("OPEN DAILY",)
    assert not grown[-2].done


def test_alt_text_carries_the_words_of_the_picture(tmp_path) -> None:
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A sign."])})
    last = results(manager, [picture(tmp_path, words="OPEN")], read_text="yes", style="alt")[-1]
    assert last.text == "A sign. Text: “OPEN”" and last.done
    assert alt_text("A dog.", ()) == "A dog."


def test_a_model_that_cannot_see_a_question_hands_what_was_found_to_one_that_can_talk(tmp_path) -> None:
    describer, talker = ScriptedDescriber(["A dog runs."]), ScriptedTalker("It is a dog.")
    manager = ScriptedManager({"starter-describer": describer, "smollm2-135m-instruct": talker})
    last = results(manager, [picture(tmp_path)], question="Which animal is it?", labels=2)[-1]
    assert last.text == "It is a dog." and last.done
    assert last.prompt == talker.told[0]
    for fact in ("A dog runs.", "dog (70%), ball (20%)", "Which animal is it?"):
        assert fact in last.prompt
    assert describer.calls == [(1, "sentence", "")]
    assert last.provenance.model == "starter-describer + smollm2-135m-instruct"


def test_a_model_that_sees_gets_the_question_itself(tmp_path) -> None:
    describer = ScriptedDescriber(["Two."], key="smolvlm2-256m")
    last = results(
        ScriptedManager({"smolvlm2-256m": describer}), [picture(tmp_path)], model="smolvlm2-256m", question="How many?"
    )[-1]
    assert describer.calls == [(1, "sentence", "How many?")]
    assert (last.text, last.prompt, last.question) == ("Two.", "", "How many?")


def test_many_pictures_run_in_batches_and_each_is_done_once(tmp_path) -> None:
    files = [picture(tmp_path, f"{index}.png") for index in range(10)]
    describer = ScriptedDescriber([f"Picture {index}." for index in range(10)])
    grown = results(ScriptedManager({"starter-describer": describer}), files, batch=4, read_text="auto")
    assert [count for count, _, _ in describer.calls] == [4, 4, 2]
    done = [(Path(result.file).name, result.text) for result in grown if result.done]
    assert done == [(f"{index}.png", f"Picture {index}.") for index in range(10)]
    assert "not read" in grown[-1].provenance.notes[0]


def test_one_bad_file_among_many_is_named_and_the_rest_are_done(tmp_path) -> None:
    good, bad = picture(tmp_path, "good.png"), tmp_path / "bad.png"
    bad.write_text("no picture")
    grown = results(
        ScriptedManager({"starter-describer": ScriptedDescriber(["A dog."])}), [bad, good, tmp_path / "none.png"]
    )
    ended = {Path(result.file).name: result for result in grown if result.done}
    assert ended["good.png"].text == "A dog." and not ended["good.png"].error
    assert "bad.png" in ended["bad.png"].error and "none.png" in ended["none.png"].error


def test_a_bad_file_alone_is_an_error(tmp_path) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(UnreadableMedia, match=r"bad\.png"):
        results(ScriptedManager({"starter-describer": ScriptedDescriber(["A dog."])}), [tmp_path / "bad.png"])


def test_what_a_model_cannot_do_is_refused_with_a_way_out(tmp_path) -> None:
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A dog."])})
    with pytest.raises(Unsupported, match="sentence, alt, tags, not paragraph"):
        results(manager, [picture(tmp_path)], style="paragraph")
    with pytest.raises(Unsupported, match="does not look at pictures; choose one of: starter-describer"):
        results(manager, [picture(tmp_path)], model="whisper-base")
    with pytest.raises(UnknownName, match="no model 'nobody'"):
        results(manager, [picture(tmp_path)], model="nobody")


def test_an_answering_model_that_cannot_talk_is_refused_before_anything_is_loaded(tmp_path) -> None:
    manager = ScriptedManager({})
    with pytest.raises(Unsupported, match="all-MiniLM-L6-v2 does not answer questions; choose one of: smollm2-135m"):
        results(manager, [picture(tmp_path)], question="What is it?", answer_model="all-minilm-l6-v2")
    with pytest.raises(UnknownName, match="no model 'nobody'"):
        results(manager, [picture(tmp_path)], question="What is it?", answer_model="nobody")


class SlowDescriber(ScriptedDescriber):
    """Takes its time before each batch, and a little before the second picture of it."""

    def describe(self, images: Sequence[Image.Image], *, style: str, question: str, max_words: int) -> Iterator[Seen]:
        time.sleep(0.3)
        for seen in super().describe(images, style=style, question=question, max_words=max_words):
            if seen.index:
                time.sleep(0.1)
            yield seen


def test_a_picture_is_charged_its_own_time_and_its_share_of_the_batch(tmp_path) -> None:
    files = [picture(tmp_path, f"{index}.png") for index in range(3)]
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    begun = time.monotonic()
    grown = results(ScriptedManager({"starter-describer": SlowDescriber(["Dog."])}), [*files, bad], batch=2)
    wall = time.monotonic() - begun
    spent = {Path(one.file).name: one.provenance.seconds for one in grown if one.done}
    assert sum(spent.values()) <= wall
    assert 0.15 <= spent["0.png"] < 0.3  # half of what the first batch waited
    assert spent["1.png"] >= spent["0.png"] + 0.09  # the other half, and what came for it alone
    assert spent["2.png"] >= 0.3  # a batch of its own: nobody shares it
    assert 0 < spent["bad.png"] < 0.3


def test_loading_a_model_is_no_work_on_a_picture(tmp_path) -> None:
    class SlowManager(ScriptedManager):
        def get(self, *given: Any) -> Any:
            time.sleep(0.5)
            return super().get(*given)

    last = results(SlowManager({"starter-describer": ScriptedDescriber(["A dog."])}), [picture(tmp_path)])[-1]
    assert 0 < last.provenance.seconds < 0.5


def test_stopping_in_the_middle_of_a_sentence_ends_it(tmp_path) -> None:
    seen: list[object] = []
    manager = ScriptedManager({"starter-describer": ScriptedDescriber(["A dog runs far."])})
    with pytest.raises(Cancelled):
        for event in run(manager, [picture(tmp_path)], Options(read_text="no"), lambda: len(seen) >= 3):
            if not isinstance(event, Call):
                seen.append(event)
    assert len(seen) == 3


def test_the_prompt_leaves_out_what_was_not_found() -> None:
    from mmdemo.results import Provenance

    told = found(Description("a.png", "A dog.", Provenance("m"), question="What?"))
    assert told == "A picture shows: A dog.\n\nAnswer in one short sentence: What?"


def test_an_adapter_is_passed_to_the_model_that_writes_the_answer_or_refused(tmp_path) -> None:
    asked: list[Any] = []

    class Adaptable(ScriptedDescriber):
        def adapt(self, folder: str) -> None:
            raise AssertionError("the engine is told with what it is asked")

        def answer(self, asks: Sequence[Any]) -> Iterator[Seen]:
            asked.extend(ask.adapter for ask in asks)
            yield from self.describe([ask.image for ask in asks], style="sentence", question="", max_words=5)

    own = Adaptable(["Two."], key="smolvlm2-256m")
    last = results(ScriptedManager({"smolvlm2-256m": own}), [picture(tmp_path)], model="smolvlm2-256m", adapter="/a")
    assert asked == ["/a"] and last[-1].text == "Two."
    plain = ScriptedManager({"starter-describer": ScriptedDescriber(["A dog."])})
    with pytest.raises(Unsupported, match="Starter describer takes no adapters as it is loaded"):
        results(plain, [picture(tmp_path)], adapter="/a")
    assert results(plain, [picture(tmp_path)])[-1].text == "A dog."
