"""Captions become sentences and tokens; pictures become the encoder's input."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mmdemo.fusion.pixels import colours, pixels
from mmdemo.fusion.processing import sentence, train_tokenizer


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A black dog and a spotted dog are fighting", "A black dog and a spotted dog are fighting."),
        ("two men , one in red , run .", "Two men, one in red, run."),
        ('  " A dog  \n barks . " ', "A dog barks."),
        (" . ", ""),
    ],
)
def test_a_caption_becomes_a_sentence(caption: str, expected: str) -> None:
    assert sentence(caption) == expected


def test_no_word_is_unknown_to_the_tokenizer() -> None:
    tokenizer = train_tokenizer(["A dog runs.", "A dog sleeps."], 300)
    for text in ("A dog runs.", "Ein Hund, 一只狗 🐕 schläft."):
        assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text
    assert len(tokenizer("A dog")["input_ids"]) <= 3
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3


def test_pictures_are_squashed_to_the_square_and_normalised() -> None:
    white, black = Image.new("RGB", (40, 10), "white"), Image.new("L", (7, 90), 0)
    batch = pixels([white, black], 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.25))
    assert batch.shape == (2, 3, 32, 32) and batch.dtype == np.float32
    assert np.allclose(batch[0, 0], 1.0) and np.allclose(batch[0, 2], 2.0)
    assert np.allclose(batch[1, 0], -1.0)


def test_pixels_become_colours_again() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    looks = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    again = colours(pixels([Image.fromarray(noise)] * 2, 8, *looks), *looks)
    assert again.dtype == np.uint8 and np.array_equal(again, np.stack([noise] * 2))
