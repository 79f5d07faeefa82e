"""A composed chain that is stopped: while it searches with beams, and between two words of a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo import folders
from mmdemo.chains import Compose
from mmdemo.errors import Cancelled
from mmdemo.fusion import checkpoint
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.runtime.backends import load
from mmdemo.runtime.backends.chain import GENERATION, ChainBackend
from mmdemo.runtime.base import Ask, Clip, Hearing, Load
from mmdemo.runtime.explaining import Given
from mmdemo.runtime.scenes import Scene
from mmdemo.settings import Settings
from mmdemo.training import composing
from tests.fusion.chains import AUDIO, VISION, chain, model_of
from tests.training import toys

TOKENIZER = train_tokenizer(["a dog runs"] * 3, 300)
PICTURE = Image.new("RGB", (32, 32), "red")
SOUND = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


class Leaving:
    """Somebody who leaves when they have been asked so many times."""

    def __init__(self, after: int) -> None:
        self.after, self.asked = after, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > self.after


def backend(folder: Path, beams: int) -> ChainBackend:
    """Random weights that never end a sentence by themselves within the words that are allowed."""
    config = chain(vision_config=VISION["fusion_patches"], audio_config=AUDIO["whisper"][0], fusion="attention")
    config.text_config.vocab_size = len(TOKENIZER)
    model = model_of(config)
    checkpoint.keep(model, folder)
    TOKENIZER.save_pretrained(folder)
    (folder / GENERATION).write_text(f'{{"num_beams": {beams}}}')
    spec = folders.spec_of(folder)
    made: Any = load(Load(spec, {spec.key: folder}, "cpu", 1))
    return made


def steps(backend: ChainBackend) -> list[int]:
    """One item for each step of the model from now on."""
    seen: list[int] = []
    backend._model.language_model.register_forward_pre_hook(lambda *_: seen.append(1))
    return seen


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("how", ["describe", "watch", "transcribe"])
def test_it_stops_at_its_next_step_whatever_it_was_asked(how: str, beams: int, tmp_path: Path) -> None:
    chain = backend(tmp_path, beams)
    taken, left = steps(chain), Leaving(3)
    asked = {
        "describe": lambda: chain.answer([Ask(PICTURE, max_words=40, left=left)]),
        "watch": lambda: chain.watch([Scene((PICTURE,), SOUND, left)], max_words=40),
        "transcribe": lambda: chain.transcribe([Clip(SOUND)], Hearing(left=left)),
    }[how]
    ended = False
    try:
        list(asked())
    except Cancelled:
        ended = True
    assert ended == (beams > 1) and 3 <= len(taken) <= 12, len(taken)  # it may be some steps ahead of its reader
    taken.clear()
    left.after = 10_000
    list(asked())
    assert len(taken) > 15  # left alone it writes on


def test_one_who_leaves_a_search_that_others_wait_for_does_not_end_it(tmp_path: Path) -> None:
    chain = backend(tmp_path, 3)
    gone = [Ask(PICTURE, max_words=4, left=lambda: True), Ask(PICTURE, max_words=4)]
    assert [seen.index for seen in chain.answer(gone) if seen.done] == [0, 1]


def test_the_tokens_of_a_question_are_shown_as_its_encoder_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=str(tmp_path / "home"), offline=True)
    TOKENIZER.save_pretrained(tmp_path / "words")
    options = Compose(
        vision="patches", text=str(toys.bert(tmp_path / "reader")), language="lstm", width=32, layers=1,
        tokenizer=str(tmp_path / "words"),
    )  # fmt: skip
    folder = composing.write(options, tmp_path / "chain", settings)
    spec = folders.spec_of(folder)
    made: Any = load(Load(spec, {spec.key: folder}, "cpu", 1))
    kind, cut = type(made._reader), []
    once = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, texts, **how: cut.append(texts) or once(self, texts, **how))
    asked, unasked = made.explain([Given((PICTURE,), text="the red sea"), Given((PICTURE,))], "a dog")
    assert cut == [["the red sea"], [""]], "a question is cut into tokens once"
    assert asked.sights.read[0] == "[CLS]" and asked.sights.read[-1] == "[SEP]"
    assert "".join(asked.sights.read[1:-1]).replace("##", "") == "theredsea"
    assert unasked.sights.read == () and asked.sights.tokens == unasked.sights.tokens
