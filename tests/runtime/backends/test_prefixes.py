"""Prompts that were read lately are not read again, and what is said is the same with and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog, torchvision_ops
from mmdemo.runtime.backends import checkpoint, prefixes, quantized
from mmdemo.runtime.backends.causal_lm import CausalLMBackend
from mmdemo.runtime.backends.image_text import ImageTextBackend
from mmdemo.runtime.base import Answerer, Ask, Converser, Load, Talk
from tests.runtime.backends import tiny_language
from tests.runtime.backends.tiny_vision import BUILDERS

EYES = [name for name in BUILDERS if name != "blip"]
SPEC = catalog.get("smolvlm2-256m")
TALKER = catalog.get("smollm2-135m-instruct")
QUESTIONS = ("what is it", "the red ball", "what is it")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torchvision_ops.prepare()
    made = {}
    for name, build in {**BUILDERS, "llama": tiny_language.llama, "sliding": tiny_language.sliding}.items():
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp(name)
        build(made[name])
    return made


@pytest.fixture(autouse=True)
def whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, so that rounding cannot tip a tie between two words."""
    monkeypatch.setattr(quantized, "best_dtype", lambda device: torch.float32)


def eye(folders: dict[str, Path], name: str) -> ImageTextBackend:
    return ImageTextBackend(Load(SPEC, {SPEC.key: folders[name]}, "cpu", 1))


def talker(folders: dict[str, Path], name: str = "llama") -> CausalLMBackend:
    return CausalLMBackend(Load(TALKER, {TALKER.key: folders[name]}, "cpu", 1, quantization="fp32"))


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8))


def said(backend: ImageTextBackend, *asks: Ask) -> list[str]:
    texts = [""] * len(asks)
    for seen in backend.answer(asks):
        texts[seen.index] = seen.text
    return texts


def talked(backend: CausalLMBackend, *talks: Talk) -> list[str]:
    texts = [""] * len(talks)
    for place, piece in backend.converse(talks):
        texts[place] += piece
    return texts


@contextmanager
def read(backend: Any) -> Iterator[list[int]]:
    """The number of tokens of each pass through the first layer of the language model."""
    counts: list[int] = []
    embedding = backend._model.get_input_embeddings()
    handle = embedding.register_forward_hook(lambda module, given, out: counts.append(given[0].shape[-1]))
    yield counts
    handle.remove()


@contextmanager
def seen_by(backend: ImageTextBackend) -> Iterator[list[int]]:
    """A mark for each time the picture is encoded."""
    marks: list[int] = []
    names = [
        name for name, _ in backend._model.named_modules() if name.endswith(("vision_model", "visual", "vision_tower"))
    ]
    handle = backend._model.get_submodule(names[0]).register_forward_hook(lambda *_: marks.append(1))
    yield marks
    handle.remove()


@pytest.mark.parametrize("name", EYES)
def test_another_question_about_a_picture_says_the_same_without_looking_again(
    folders: dict[str, Path], name: str
) -> None:
    fresh = [said(eye(folders, name), Ask(picture(0), question=question, max_words=6))[0] for question in QUESTIONS]
    backend = eye(folders, name)
    with seen_by(backend) as looks, read(backend) as counts:
        again = []
        first = []
        for question in QUESTIONS:
            first.append(len(counts))
            again += said(backend, Ask(picture(0), question=question, max_words=6))
    assert again == fresh and len(set(fresh)) == 2
    assert len(looks) == 1, "the picture was encoded once"
    lengths = [counts[place] for place in first]
    assert lengths[1] < lengths[0] / 2 and lengths[2] == 1, lengths


@pytest.mark.parametrize("name", EYES)
def test_pictures_are_told_apart_and_those_between_change_nothing(folders: dict[str, Path], name: str) -> None:
    asks = [Ask(picture(seed), question=question, max_words=6) for seed in (0, 1) for question in QUESTIONS[:2]]
    fresh = [said(eye(folders, name), ask)[0] for ask in asks]
    backend = eye(folders, name)
    order = (0, 2, 1, 3, 0, 2)
    assert [said(backend, asks[number])[0] for number in order] == [fresh[number] for number in order]
    assert len(set(fresh)) == 4


@pytest.mark.parametrize("name", BUILDERS)
def test_pictures_of_several_people_are_looked_at_together_each_with_its_own_wish(
    folders: dict[str, Path], name: str
) -> None:
    backend = eye(folders, name)
    assert isinstance(backend, Answerer)
    questions = ("",) * 3 if name == "blip" else ("what is it", "", "the red ball")
    asks = [Ask(picture(seed), question=questions[seed], max_words=4 + seed) for seed in range(3)]
    assert said(backend, *asks) == [said(backend, ask)[0] for ask in asks]


def test_who_leaves_ends_only_their_own_row(folders: dict[str, Path]) -> None:
    backend = eye(folders, "smolvlm")
    whole = said(backend, Ask(picture(1), max_words=12))[0]
    texts: list[list[str]] = [[], []]
    asks = [Ask(picture(0), max_words=400, left=lambda: len(texts[0]) >= 2), Ask(picture(1), max_words=12)]
    for seen in backend.answer(asks):
        texts[seen.index].append(seen.text)
    assert len(texts[0]) <= 4 and texts[1][-1] == whole


def test_what_is_kept_is_bounded_counted_and_gone_with_the_model(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefixes, "LEAST", 0)
    backend = eye(folders, "smolvlm")
    request = Load(SPEC, {SPEC.key: folders["smolvlm"]}, "cpu", 1)
    bare = checkpoint.estimate(request, "AutoModelForImageTextToText")
    most = prefixes.PROMPTS * bare.cache
    assert ImageTextBackend.estimate(request).total == bare.total + most
    sizes = []
    for seed in range(40):
        said(backend, Ask(picture(seed), max_words=4))
        sizes.append(backend._prefixes.size)
        if len(sizes) > 3 and sizes[-1] == sizes[-2]:
            break
    assert 0 < sizes[0] < sizes[2] and max(sizes) <= most
    backend.close()
    assert backend._prefixes.size == 0 and backend._prefixes._model is None


def test_a_conversation_goes_on_where_it_was(folders: dict[str, Path]) -> None:
    first = [{"role": "user", "content": "the dog runs in the snow the cat sits on the grass"}]
    backend = talker(folders)
    assert isinstance(backend, Converser)
    answer = talked(backend, Talk(first, 4))[0]
    more = [*first, {"role": "assistant", "content": answer}, {"role": "user", "content": "a dog"}]
    with read(backend) as counts:
        again = talked(backend, Talk(more, 6))[0]
    assert again == talked(talker(folders), Talk(more, 6))[0]
    assert counts[0] < 10, "only what is new was read"


def test_a_prompt_that_is_the_same_word_for_word_reads_one_token(folders: dict[str, Path]) -> None:
    backend = talker(folders)
    asked = Talk([{"role": "user", "content": "the dog runs"}], 5)
    first = talked(backend, asked)
    with read(backend) as counts:
        assert talked(backend, asked) == first
    assert counts[0] == 1


def test_conversations_of_different_length_say_together_what_they_say_alone(folders: dict[str, Path]) -> None:
    backend = talker(folders)
    talks = [
        Talk([{"role": "user", "content": words}], most)
        for words, most in (("the dog", 6), ("a cat sits on the grass in the snow", 9), ("snow", 3))
    ]
    assert talked(backend, *talks) == [talked(talker(folders), talk)[0] for talk in talks]


def test_a_model_that_forgets_its_beginning_is_read_anew(folders: dict[str, Path]) -> None:
    backend = talker(folders, "sliding")
    asked = Talk([{"role": "user", "content": "the dog runs in the snow"}], 5)
    first = talked(backend, asked)
    with read(backend) as counts:
        assert talked(backend, asked) == first
    assert counts[0] > 5 and backend._prefixes.size == 0


def test_a_reader_who_leaves_early_spoils_nothing(folders: dict[str, Path]) -> None:
    backend = eye(folders, "qwen3_vl")
    expected = said(eye(folders, "qwen3_vl"), Ask(picture(0), question="what is it", max_words=6))
    running = backend.answer([Ask(picture(0), question="the red ball", max_words=300)])
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert said(backend, Ask(picture(0), question="what is it", max_words=6)) == expected
