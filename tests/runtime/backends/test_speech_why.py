"""Reasons for what speech models write: when in the sound each word was heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmdemo import catalog
from mmdemo.errors import InputError
from mmdemo.media.audio import stream_audio
from mmdemo.runtime.backends import load, whisper_why
from mmdemo.runtime.base import RATE, Clip, Hearing, Load
from mmdemo.runtime.explaining import Explainer, Given
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.sources import fetch
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.backends import tiny_omni, tiny_speech

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop
SAMPLES = Path(__file__).parents[3] / "assets" / "samples"
TOYS = {
    "whisper": tiny_speech.whisper, "moonshine": tiny_speech.moonshine, "ctc": tiny_speech.ctc,
    "omni": tiny_omni.qwen2_5_omni,
}  # fmt: skip


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    return Manager(Settings(home=str(tmp_path_factory.mktemp("home")), device="cpu", threads=1, offline=True))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    from mmdemo import torchvision_ops

    torchvision_ops.prepare()
    made = {}
    for name, build in TOYS.items():
        torch.manual_seed(1)
        folder = tmp_path_factory.mktemp(name)
        build(folder)
        made[name] = str(folder)
    return made


def noise(seconds: float, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 0.3, int(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("name", TOYS)
def test_each_word_says_when_in_the_sound_it_was_heard(folders: dict[str, str], manager: Manager, name: str) -> None:
    backend: Any = manager.get(folders[name], how=How("fp32", "cpu"))
    assert isinstance(backend, Explainer) and backend.needs()["audio"] == 30
    said = "" if name == "ctc" else "a b c"
    (found,) = backend.explain([Given(sound=noise(2.0))], said)
    assert found.reasons and found.answer
    if said:
        expected = "a" if name == "moonshine" else "abc"  # to the toy all of it is one unknown word
        assert "".join(reason.text for reason in found.reasons) == expected
    for reason in found.reasons:
        looked = reason.looked["audio"]
        assert looked.ndim == 3 and looked.shape[:2] == (1, 1) and looked.sum() == pytest.approx(1, abs=1e-3)
        assert 0 < reason.probability <= 1 and 0 <= reason.without["audio"] <= 1
    assert found.sights.mel is not None and found.sights.mel.shape == (80, 200) and found.sights.seconds == 2.0
    assert found.sights.tokens
    heard = " ".join(one.segment.text for one in backend.transcribe([Clip(noise(2.0))], Hearing())).strip()
    if heard:
        (now,) = backend.explain([Given(sound=noise(2.0))], "")
        assert now.answer == heard, "without an answer, what it says now"
    with pytest.raises(InputError, match="no sound"):
        list(backend.explain([Given()], said))


def test_too_many_words_and_another_text_are_refused(folders: dict[str, str], manager: Manager) -> None:
    whisper: Any = manager.get(folders["whisper"], how=How("fp32", "cpu"))
    with pytest.raises(InputError, match="shorten it"):
        list(whisper.explain([Given(sound=noise(1.0))], "a b " * 200))
    letters: Any = manager.get(folders["ctc"], how=How("fp32", "cpu"))
    with pytest.raises(InputError, match="hears something else"):
        list(letters.explain([Given(sound=noise(1.0))], "never said"))


def test_weights_of_eight_bits_are_explained_as_whole_ones_are(folders: dict[str, str], manager: Manager) -> None:
    (whole,), (packed,) = (
        list(manager.get(folders["whisper"], how=How(way, "cpu")).explain([Given(sound=noise(1.0))], "a"))  # type: ignore[attr-defined]
        for way in ("fp32", "int8")
    )
    assert len(packed.reasons) == len(whole.reasons) >= 1
    for one, other in zip(packed.reasons, whole.reasons, strict=True):
        assert one.probability == pytest.approx(other.probability, rel=0.1)
        places = [reason.looked["audio"].ravel() for reason in (one, other)]
        assert np.corrcoef(*places)[0, 1] > 0.95


@pytest.mark.weights
def test_the_starters_whisper_says_when_it_heard_each_word() -> None:
    key = "whisper-base"
    folder = fetch(catalog.get(key), Settings.load(), lambda progress: None, lambda: False)
    backend: Any = load(Load(catalog.get(key), {key: folder}, "cpu", 2))
    try:
        name = sorted(SAMPLES.glob("*.flac"))[0]
        samples = np.concatenate([block.samples for block in stream_audio(name, Settings())])[: 20 * RATE]
        heard = list(backend.transcribe([Clip(samples)], Hearing(words=True, beams=5)))
        times = {word.text.strip(".,"): word for one in heard for word in one.segment.words}
        (found,) = backend.explain([Given(sound=samples)], " ".join(one.segment.text for one in heard))
        ids, offsets = whisper_why.tokens(backend._model.hf_tokenizer, " to the  tree")
        assert backend._model.hf_tokenizer.decode(ids) == " to the  tree" and offsets[:2] == [(0, 3), (3, 7)]
        seconds, checked = len(samples) / RATE, 0
        for reason in found.reasons:
            word = times.get(reason.text)
            if word is None or sum(one.text == reason.text for one in found.reasons) > 1:
                continue
            at = float((reason.looked["audio"][0, 0] * (np.arange(reason.looked["audio"].size) + 0.5)).sum()) / 50
            assert word.start - 0.5 < at < word.end + 0.5, (reason.text, at, word)
            checked += 1
        assert checked >= 4 and found.sights.seconds == pytest.approx(seconds)
        likely = np.mean([np.log(one.probability) for one in found.reasons])
        silent = np.mean([np.log(max(one.without["audio"], 1e-30)) for one in found.reasons])
        assert likely > silent + 1, "it is the sound that makes it write this"
        assert backend.explain([Given(sound=samples)], "").__next__().answer == found.answer
    finally:
        backend.close()
