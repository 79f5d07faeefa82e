"""Reasons for what vision-language models and captioners say, each family of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mmdemo.errors import InputError, Unsupported
from mmdemo.runtime.backends import picture_places
from mmdemo.runtime.backends.spoken import words
from mmdemo.runtime.explaining import Explainer, Given
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from tests.runtime.backends.test_families import BUILDERS, folders, manager, pictures  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop


@pytest.mark.parametrize("name", BUILDERS)
def test_each_word_says_where_in_the_picture_it_comes_from(
    folders: dict[str, str],  # noqa: F811
    manager: Manager,  # noqa: F811
    name: str,
) -> None:
    backend: Any = manager.get(folders[name], how=How("fp32", "cpu"))
    assert isinstance(backend, Explainer)
    one, other = pictures()[:2]
    (found,) = backend.explain([Given((one,))], "a dog runs")
    assert [reason.text for reason in found.reasons] == ["a", "dog", "runs"]
    for reason in found.reasons:
        looked = reason.looked["vision"]
        assert looked.ndim == 3 and len(looked) == 1 and looked.sum() == pytest.approx(1, abs=1e-3)
        assert looked.min() >= 0 and looked.max() > looked.mean()
        assert 0 < reason.probability < 1 and 0 < reason.without["vision"] < 1
    assert any(abs(reason.probability - reason.without["vision"]) > 1e-4 for reason in found.reasons)
    (changed,) = backend.explain([Given((other,))], "a dog runs")
    assert changed.reasons[0].probability != found.reasons[0].probability, "it looks at the picture"
    assert changed.reasons[1].without == pytest.approx(found.reasons[1].without, rel=0.05) or name.startswith(
        ("smolvlm", "idefics3", "internvl", "qwen")
    ), "what it says without a picture does not depend on it, but for the number of its tiles"
    assert found.sights.pictures and found.sights.pictures[0].ndim == 3
    assert "".join(found.sights.tokens).replace(" ", "") == "adogruns"
    (asked,) = backend.explain([Given((one,), text="a dog runs")], "a dog")
    prompt = backend._prompt("sentence", "a dog runs")
    assert "".join(asked.sights.read).replace(" ", "") == prompt.replace(" ", ""), "tokens of what it was asked"


@pytest.mark.parametrize("name", BUILDERS)
def test_the_probabilities_are_those_of_the_words_it_generates(
    folders: dict[str, str],  # noqa: F811
    manager: Manager,  # noqa: F811
    name: str,
) -> None:
    from mmdemo.runtime.backends import image_text_why

    backend: Any = manager.get(folders[name], how=How("fp32", "cpu"))
    image = pictures()[2]
    inputs = backend._inputs([image], [backend._prompt("sentence", "")])
    with torch.inference_mode():
        told = backend._model.generate(
            **inputs, max_new_tokens=4, do_sample=False, output_scores=True, return_dict_in_generate=True, num_beams=1,
            **backend._options,
        )  # fmt: skip
    ids = told.sequences[:, -len(told.scores) :]
    expected = [float(step[0].log_softmax(-1)[token]) for step, token in zip(told.scores, ids[0], strict=True)]
    asked = {key: value.clone() for key, value in inputs.items()}
    route = image_text_why._among_words if hasattr(backend._model.config, "image_token_id") else image_text_why._by_eye
    backend._model.requires_grad_(False)
    with torch.inference_mode(False), torch.enable_grad():
        logs = route(backend._model, asked, ids.clone())[0]
    assert logs.tolist() == pytest.approx(expected, abs=2e-3)


def test_nothing_to_explain_is_refused(
    folders: dict[str, str],  # noqa: F811
    manager: Manager,  # noqa: F811
) -> None:
    backend: Any = manager.get(folders["llava"], how=How("fp32", "cpu"))
    with pytest.raises(InputError, match="no words"):
        list(backend.explain([Given(pictures()[:1])], " "))
    with pytest.raises(InputError, match="shorten it"):
        list(backend.explain([Given(pictures()[:1])], "dog " * 500))
    with pytest.raises(InputError, match="no picture"):
        list(backend.explain([Given()], "dog"))


def test_weights_of_eight_bits_are_explained_as_whole_ones_are(
    folders: dict[str, str],  # noqa: F811
    manager: Manager,  # noqa: F811
) -> None:
    (whole,), (packed,) = (
        list(manager.get(folders["llava"], how=How(way, "cpu")).explain([Given(pictures()[:1])], "dog"))  # type: ignore[attr-defined]
        for way in ("fp32", "int8")
    )
    assert len(packed.reasons) == len(whole.reasons) >= 1
    for one, other in zip(packed.reasons, whole.reasons, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=0.1)
        places = [reason.looked["vision"].ravel() for reason in (one, other)]
        assert np.corrcoef(*places)[0, 1] > 0.95


def test_tiles_of_a_picture_are_put_together_and_the_small_whole_lies_over_them() -> None:
    weights = np.zeros((7, 4), np.float32)
    weights[1, 0] = 0.5  # upper left of the second tile
    weights[6, 3] = 0.5  # lower right of the whole
    inputs = {"pixel_values": np.zeros((1, 7, 3, 8, 8))}
    over = picture_places.over_picture(weights.ravel(), inputs, None, (300, 200))
    assert over.shape == (4, 6) and over.sum() == pytest.approx(1)
    assert over[0, 2] == 0.5 and over[2:, 3:].sum() == pytest.approx(0.5)
    with pytest.raises(Unsupported, match="not known here"):
        picture_places.grid(np.zeros(15, np.float32))


def test_words_are_words_in_any_script() -> None:
    assert [text for text, _ in words("It's a dog.", [(0, 4), (4, 6), (6, 10), (10, 11)])] == ["It's", "a", "dog", "."]
    assert words("一只狗", [(0, 1), (1, 3)]) == [("一", [0]), ("只", [1])]
