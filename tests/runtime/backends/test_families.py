"""Every family that sees: a tiny checkpoint in a folder is found, weighed, loaded and asked as any other model is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog, families, torchvision_ops
from mmdemo.errors import UnknownName, Unsupported
from mmdemo.runtime.backends import BACKENDS
from mmdemo.runtime.backends.linear8 import Linear8
from mmdemo.runtime.base import Describer, Seen
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.backends import tiny_families, tiny_vision
from tests.runtime.backends.weighing import held

BUILDERS = {**tiny_vision.BUILDERS, **tiny_families.BUILDERS}
UNASKED = ("blip", "vit_gpt2")
"""They are told nothing, and write one sentence."""
WAYS = ("fp32", "bf16", "int8")

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The path of each family's checkpoint."""
    torchvision_ops.prepare()
    made = {}
    for name, build in BUILDERS.items():
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(name)
        build(folder)
        made[name] = str(folder)
    return made


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    """It keeps them all: each is small."""
    home = str(tmp_path_factory.mktemp("home"))
    return Manager(Settings(home=home, device="cpu", threads=1, offline=True))


def pictures() -> list[Image.Image]:
    """Noise in three shapes: landscape, portrait, square."""
    noise = np.random.default_rng(0)
    shapes = ((60, 80), (40, 30), (64, 64))
    return [Image.fromarray(noise.integers(0, 255, (*shape, 3), dtype=np.uint8)) for shape in shapes]


def said(
    backend: object, images: list[Image.Image], style: str = "sentence", question: str = "", words: int = 6
) -> list[str]:
    """The last text of each picture."""
    assert isinstance(backend, Describer)
    last: dict[int, Seen] = {}
    for seen in backend.describe(images, style=style, question=question, max_words=words):
        last[seen.index] = seen
    assert all(seen.done for seen in last.values())
    return [last[index].text for index in range(len(images))]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_folder_describes_pictures_alike_alone_and_together(
    folders: dict[str, str], manager: Manager, name: str
) -> None:
    row = catalog.get(folders[name])
    assert (row.backend, row.tasks) == ("image_text", ("describe",))
    backend = manager.get(folders[name], how=How("fp32", "cpu"))
    together = said(backend, pictures())
    assert all(together)
    assert together == [said(backend, [image])[0] for image in pictures()]
    assert len(set(together)) >= 2, "it looks at the picture"
    assert manager.get(folders[name], how=How("fp32", "cpu")) is backend, "it is loaded once"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BUILDERS)
def test_the_estimate_is_what_its_weights_take_and_it_describes_in_every_way(
    folders: dict[str, str], manager: Manager, name: str, way: str
) -> None:
    how = How(way, "cpu")
    known = manager.estimate(folders[name], how)
    backend = manager.get(folders[name], how=how)
    assert all(said(backend, pictures()))
    assert 0.9 <= known.weights / held(backend._model) <= 1.1, (known, held(backend._model))  # type: ignore[attr-defined]
    assert known.cache > 0 and known.activations > 0
    kinds = {type(module) for module in backend._model.modules()}  # type: ignore[attr-defined]
    assert (Linear8 in kinds) == (way == "int8")


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in UNASKED])
def test_every_style_that_its_row_names_is_asked_for_in_words_of_its_own(
    folders: dict[str, str], manager: Manager, name: str
) -> None:
    backend = manager.get(folders[name], how=How("fp32", "cpu"))
    styles = catalog.get(folders[name]).styles
    assert len(styles) >= 2
    prompts = {backend._prompt(style, "") for style in styles}  # type: ignore[attr-defined]
    assert len(prompts) == len(styles) and "" not in prompts
    words = {style: tuple(said(backend, pictures(), style)) for style in styles}
    assert len(set(words.values())) >= 2, "it reads what it is asked"


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in UNASKED])
def test_a_question_is_answered_or_refused_as_the_row_says(
    folders: dict[str, str], manager: Manager, name: str
) -> None:
    backend = manager.get(folders[name], how=How("fp32", "cpu"))
    if not catalog.get(folders[name]).answers:
        with pytest.raises(Unsupported, match="describes but does not answer: choose a model that answers"):
            said(backend, pictures(), question="what is it")
        return
    assert said(backend, pictures(), question="what is it") != said(backend, pictures())


def test_families_without_a_chat_are_asked_in_their_own_language(folders: dict[str, str], manager: Manager) -> None:
    florence = manager.get(folders["florence2"], how=How("fp32", "cpu"))
    asked = florence._inputs(pictures()[:1], [florence._prompt("paragraph", "")])  # type: ignore[attr-defined]
    text = florence._tokenizer.decode(asked["input_ids"][0], skip_special_tokens=True)  # type: ignore[attr-defined]
    assert text == "Describe with a paragraph what is shown in the image."
    with pytest.raises(UnknownName, match="no style 'tags'; choose from: sentence, alt, paragraph"):
        said(florence, pictures(), "tags")
    gemma = manager.get(folders["paligemma"], how=How("fp32", "cpu"))
    asked = gemma._inputs(pictures()[:1], [gemma._prompt("sentence", "what is {it}")])  # type: ignore[attr-defined]
    text = gemma._tokenizer.decode(asked["input_ids"][0], skip_special_tokens=True)  # type: ignore[attr-defined]
    assert text == "answer en what is {it}\n"


@pytest.mark.parametrize("name", UNASKED)
def test_a_captioner_ends_where_its_positions_do(folders: dict[str, str], manager: Manager, name: str) -> None:
    backend = manager.get(folders[name], how=How("fp32", "cpu"))
    assert all(said(backend, pictures(), words=500)), "800 tokens are allowed, 64 have a position"


def test_a_family_names_an_engine_that_is_here_and_needs_to_be_told_apart() -> None:
    assert {family.engine for family in families.FAMILIES} <= set(BACKENDS)
    assert families.of("llava", "LlavaForConditionalGeneration") is None
    for family in families.FAMILIES:
        assert families.of(family.kind or "any", f"Any{family.ending}") is family, "no row before it takes its place"
        assert set(family.prompts) <= set(catalog.STYLES)
        assert not family.question or "{question}" in family.question
