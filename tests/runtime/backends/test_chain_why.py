"""Reasons for what a chain of frames, sound and text says: of the words it said, and of words it is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo.errors import InputError
from mmdemo.fusion.config import FusionConfig
from mmdemo.fusion.processing import sentence, train_tokenizer
from mmdemo.runtime.backends import chain_why
from mmdemo.runtime.explaining import Given
from tests.fusion.chains import AUDIO, READER, VISION, chain, model_of

TOKENIZER = train_tokenizer(["a dog runs"] * 3, 300)


def config() -> FusionConfig:
    made = chain(
        vision_config=VISION["fusion_patches"], audio_config=AUDIO["whisper"][0], text_encoder_config=READER, frames=3,
        fusion="attention",
    )  # fmt: skip
    made.text_config.vocab_size = len(TOKENIZER)
    return made


def arguments() -> dict[str, torch.Tensor]:
    return {
        "pixel_values": torch.linspace(-1, 1, 3 * 3 * 32 * 32).reshape(1, 3, 3, 32, 32),
        "audio_values": torch.randn(1, 20, 100),
        "context_ids": torch.tensor([[5, 6]]),
        "context_mask": torch.tensor([[1, 1]]),
    }


def given() -> Given:
    return Given([Image.new("RGB", (32, 32))] * 3, np.zeros(16_000, np.float32), "what?")


def test_what_a_chain_needs_is_what_its_encoders_read() -> None:
    assert chain_why.needs(config()) == {"vision": 3, "audio": 1, "text": 1}


def test_what_it_says_now_and_what_it_is_said_to_have_said_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_why, "WORDS", 20)
    model = model_of(config())
    search = {"num_beams": 2, "pad_token_id": 0}
    (own,) = chain_why.explain(model, TOKENIZER, [(given(), arguments())], "", search, 1)
    with torch.inference_mode():
        ids = model.generate(**arguments(), max_new_tokens=chain_why.WORDS, do_sample=False, **search)
    said = TOKENIZER.decode(ids[0], skip_special_tokens=True)
    assert own.answer == sentence(said)
    torch.manual_seed(1)
    (again,) = chain_why.explain(model, TOKENIZER, [(given(), arguments())], "a dog runs", search, 1)
    assert [one.text for one in again.reasons] == ["a", "dog", "runs"] and again.answer == "a dog runs"
    looked = again.reasons[0].looked
    assert {name: weights.shape for name, weights in looked.items()} == {
        "vision": (3, 2, 2), "audio": (1, 1, 50), "text": (1, 1, 2),
    }  # fmt: skip
    assert sum(weights.sum() for weights in looked.values()) == pytest.approx(1, abs=1e-3)
    assert set(again.reasons[0].without) == {"vision", "audio", "text"}


def test_what_it_is_given_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(config())
    read: list[str] = []
    original = model.encoded
    monkeypatch.setattr(model, "encoded", lambda name, *given: read.append(name) or original(name, *given))
    list(chain_why.explain(model, TOKENIZER, [(given(), arguments())], "a dog", {}, 1))
    assert read == ["vision", "audio", "text"]


def test_it_shows_frames_as_they_were_before_they_were_normalised_and_the_sound() -> None:
    (found,) = chain_why.explain(model_of(config()), TOKENIZER, [(given(), arguments())], "a dog", {}, 1)
    assert [picture.shape for picture in found.sights.pictures] == [(32, 32, 3)] * 3
    assert found.sights.pictures[0].min() == 0 and found.sights.pictures[2].max() == 255
    assert found.sights.mel is not None and found.sights.mel.shape == (20, 100) and found.sights.seconds == 1.0
    assert "".join(found.sights.tokens) == "a dog"


def test_a_file_with_nothing_for_its_encoders_is_refused() -> None:
    with pytest.raises(InputError, match="nothing here that this model can see"):
        next(chain_why.explain(model_of(config()), TOKENIZER, [(Given(), {})], "a dog", {}, 1))


def test_a_model_that_says_nothing_is_said_to_say_nothing() -> None:
    model = model_of(config())
    end = model.config.text_config.eos_token_id
    search = {"suppress_tokens": [one for one in range(len(TOKENIZER)) if one != end]}
    with pytest.raises(InputError, match="says nothing of this: train it longer"):
        next(chain_why.explain(model, TOKENIZER, [(given(), arguments())], "", search, 1))
