"""Reasons for answers: words of toy chains that see and hear, and the starter describer's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog
from mmdemo.errors import InputError
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.runtime.backends import fusion_why
from mmdemo.runtime.backends.fusion import FusionBackend
from mmdemo.runtime.base import Load
from mmdemo.runtime.explaining import Explainer, Given
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from tests.fusion.chains import AUDIO, VISION, chain, model_of

SAMPLES = Path(__file__).parents[3] / "assets" / "samples"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["a dog runs"] * 3, 262).backend_tokenizer  # few merges: words are of several tokens


def test_a_word_of_several_tokens_is_one_and_keeps_its_places_and_times(tokenizer) -> None:
    config = chain(vision_config=VISION["vit"], audio_config=AUDIO["whisper"][0], frames=3)
    config.text_config.vocab_size = 300
    model = model_of(config)
    features = {
        "vision": model.encoded("vision", torch.randn(1, 3, 3, 32, 32)),
        "audio": model.encoded("audio", torch.randn(1, 20, 100)),
    }
    found = fusion_why.reasons(model, tokenizer, features, "a dog barks", 64)
    assert [one.text for one in found] == ["a", "dog", "barks"]
    assert len(fusion_why.tokens(tokenizer, "a dog barks")) > 3
    for one in found:
        assert one.looked["vision"].shape == (3, 2, 2), "frames, rows, columns; the CLS token is spread"
        assert one.looked["audio"].shape == (1, 1, 50)
        assert one.share("vision") + one.share("audio") == pytest.approx(1, abs=1e-4)
        assert 0 < one.probability < 1 and set(one.without) == {"vision", "audio"}
    with torch.inference_mode():
        ids = torch.tensor([[1, *tokenizer.encode("a dog barks").ids]])
        logs = model(input_ids=ids[:, :-1], features=features).logits[0].log_softmax(-1)
    whole = float(logs.gather(1, ids[0, 1:, None]).sum())
    assert sum(np.log(one.probability) for one in found) == pytest.approx(whole, abs=1e-3)


def test_no_words_and_too_many_words_are_refused(tokenizer) -> None:
    config = chain(vision_config=VISION["vit"])
    config.text_config.vocab_size = 300
    model = model_of(config)
    features = {"vision": model.encoded("vision", torch.randn(1, 3, 32, 32))}
    with pytest.raises(InputError, match="has no words"):
        fusion_why.reasons(model, tokenizer, features, "", 64)
    with pytest.raises(InputError, match="tokens and this model writes at most 64"):
        fusion_why.reasons(model, tokenizer, features, "a dog runs " * 3000, 64)


@pytest.fixture(scope="module")
def backend() -> FusionBackend:
    settings = Settings.load()
    keys = ("starter-describer", "efficientnet-lite2")
    folders = {key: fetch(catalog.get(key), settings, lambda progress: None, lambda: False) for key in keys}
    return FusionBackend(Load(catalog.get("starter-describer"), folders, "cpu", 1))


def picture(name: str) -> Given:
    return Given((Image.open(SAMPLES / f"{name}.jpg").convert("RGB"),))


@pytest.mark.weights
def test_the_starter_says_where_it_looked_for_each_word_it_says(backend) -> None:
    assert isinstance(backend, Explainer) and backend.needs() == {"vision": 1}
    (said,) = [seen.text for seen in backend.describe(picture("astronaut").frames, style="sentence", question="",
               max_words=60) if seen.done]  # fmt: skip
    (found,) = backend.explain([picture("astronaut")], "")
    assert found.answer == said and not found.from_labels
    assert [one.text for one in found.reasons] == [*said.removesuffix(".").split(), "."]
    assert all(one.looked["vision"].shape == (1, 9, 9) for one in found.reasons)
    assert found.sights.pictures[0].shape == (260, 260, 3) and "".join(found.sights.tokens) == said
    squashed = picture("astronaut").frames[0].resize((260, 260), Image.Resampling.BICUBIC)
    assert np.abs(found.sights.pictures[0].astype(int) - np.asarray(squashed)).max() <= 1, "as the encoder reads it"
    noun = max(found.reasons, key=lambda one: one.probability / one.without["vision"])
    assert noun.text.isalpha() and noun.probability > 3 * noun.without["vision"], "the picture decides some word"


@pytest.mark.weights
def test_a_sentence_made_of_labels_is_explained_by_its_labels(backend) -> None:
    given = picture("tripod")
    (found,) = backend.explain([given], "")
    assert found.from_labels and "tripod" in found.answer.lower()
    half = given.frames[0].copy()
    half.paste((128, 128, 128), (0, 0, half.width, half.height // 2))
    (other,) = backend.explain([Given((half,))], found.answer)
    looked = found.reasons[-1].looked["vision"]
    assert looked.sum() == pytest.approx(1, abs=1e-4) and looked.shape == (1, 9, 9)
    assert other.from_labels, "an answer that is given is explained, whatever would be said now"
    assert [one.text for one in other.reasons] == [one.text for one in found.reasons]


@pytest.mark.weights
def test_its_model_is_opened_once_and_reads_a_picture_once(backend, monkeypatch: pytest.MonkeyPatch) -> None:
    list(backend.explain([picture("astronaut")], "A man."))
    model = backend._model()
    read: list[int] = []
    original = model.vision.network.forward_features
    monkeypatch.setattr(model.vision.network, "forward_features", lambda x: read.append(len(x)) or original(x))
    list(backend.explain([picture("astronaut"), picture("tripod")], "A man smiles."))
    assert backend._model() is model and read == [1, 1]


@pytest.mark.weights
def test_without_a_picture_there_is_nothing_to_explain(backend) -> None:
    with pytest.raises(InputError, match="no picture"):
        list(backend.explain([Given()], "A dog."))
