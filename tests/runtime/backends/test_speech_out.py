"""Text becomes sound: tiny VITS and SpeechT5 checkpoints in folders are found, weighed, loaded and speak."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Cancelled, Unsupported, WeightsError
from mmdemo.runtime.backends.linear8 import Linear8
from mmdemo.runtime.backends.speech_out import SpeechOutBackend, SpeechT5Backend
from mmdemo.runtime.base import Load, Speaker
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.backends.tiny_speech import speecht5, vits
from tests.runtime.backends.weighing import held

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop
TEXT = "the dog runs over the fox"
KINDS = ("vits", "choir", "speecht5")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """VITS with one voice and with three, and SpeechT5 with its vocoder inside its folder."""
    torchvision_ops.prepare()
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("voices")
    vits(home / "vits")
    vits(home / "choir", speakers=3)
    speecht5(home / "speecht5", home / "speecht5" / "speecht5-hifigan")
    return {name: str(home / name) for name in KINDS}


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    home = str(tmp_path_factory.mktemp("home"))
    return Manager(Settings(home=home, device="cpu", threads=1, offline=True))


def voice(manager: Manager, folder: str, way: str = "auto") -> Speaker:
    backend = manager.get(folder, how=How(way, "cpu"))
    assert isinstance(backend, Speaker)
    return backend


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_speaks_the_same_way_again_with_the_same_seed(
    folders: dict[str, str], manager: Manager, name: str
) -> None:
    row = catalog.get(folders[name])
    assert (row.tasks, row.parts, row.styles) == (("speak",), (), ())
    speaker = voice(manager, folders[name])
    before = torch.random.get_rng_state()
    spoken = speaker.speak(TEXT, seed=7)
    assert spoken.rate == 16_000
    assert spoken.samples.dtype == np.float32 and spoken.samples.ndim == 1
    assert len(spoken.samples) > 1000
    assert 0 < np.abs(spoken.samples).max() <= 1.0
    assert np.array_equal(speaker.speak(TEXT, seed=7).samples, spoken.samples)
    assert not np.array_equal(speaker.speak(TEXT, seed=8).samples, spoken.samples)
    assert torch.equal(torch.random.get_rng_state(), before), "other work draws what it would have drawn"


@pytest.mark.parametrize("name", KINDS)
def test_twice_as_fast_takes_half_as_long(folders: dict[str, str], manager: Manager, name: str) -> None:
    speaker = voice(manager, folders[name])
    slow, plain, fast = (len(speaker.speak(TEXT, speed=speed, seed=1).samples) for speed in (0.5, 1.0, 2.0))
    assert 1.5 <= slow / plain <= 2.2
    assert 0.45 <= fast / plain <= 0.75, "a letter takes a frame at least"


@pytest.mark.parametrize("way", ["fp32", "int8"])
@pytest.mark.parametrize("name", KINDS)
def test_the_estimate_is_what_it_takes_and_it_speaks_in_every_way(
    folders: dict[str, str], manager: Manager, name: str, way: str
) -> None:
    known = manager.estimate(folders[name], How(way, "cpu"))
    speaker = voice(manager, folders[name], way)
    taken = held(speaker._model) + (held(speaker._vocoder) if name == "speecht5" else 0)  # type: ignore[attr-defined]
    assert 0.9 <= known.weights / taken <= 1.1, (known, taken)
    assert np.isfinite(speaker.speak(TEXT).samples).all()
    kinds = {type(module) for module in speaker._model.modules()}  # type: ignore[attr-defined]
    assert (Linear8 in kinds) == (way == "int8")


def test_half_precision_is_refused_with_what_there_is(folders: dict[str, str], manager: Manager) -> None:
    with pytest.raises(
        Unsupported, match=r"vits does not run in bf16 on this device \(cpu\); choose one of: auto, fp32, int8"
    ):
        voice(manager, folders["vits"], "bf16")


def test_each_voice_sounds_otherwise_and_there_are_no_more(folders: dict[str, str], manager: Manager) -> None:
    choir = voice(manager, folders["choir"])
    assert choir.voices == 3
    sounds = [choir.speak(TEXT, voice=number).samples for number in range(3)]
    assert not any(np.array_equal(one, other) for one, other in itertools.pairwise(sounds))
    with pytest.raises(Unsupported, match="choir has the voices 0 to 2, not 3: choose one of them"):
        choir.speak(TEXT, voice=3)


@pytest.mark.parametrize("text", ["", "  ", "你好", "123 !"])
def test_a_text_without_a_letter_it_knows_is_one_sentence(folders: dict[str, str], manager: Manager, text: str) -> None:
    with pytest.raises(Unsupported, match="vits finds nothing in that text that it can say"):
        voice(manager, folders["vits"]).speak(text)


def test_a_text_that_is_too_long_names_the_limit(folders: dict[str, str], manager: Manager) -> None:
    with pytest.raises(Unsupported, match="too long for speecht5: give it at most 60 letters at once"):
        voice(manager, folders["speecht5"]).speak(TEXT * 4)


def test_a_speaker_beside_the_weights_is_whose_voice_it_is(folders: dict[str, str], manager: Manager) -> None:
    from safetensors.torch import save_file

    plain = voice(manager, folders["speecht5"]).speak(TEXT)
    file = Path(folders["speecht5"]) / "speaker.safetensors"
    row = catalog.get(folders["speecht5"])
    asked = Load(row, {row.key: file.parent}, "cpu", 1)
    try:
        save_file({"speaker": torch.linspace(-2, 2, 8)}, file)
        other = SpeechT5Backend(asked).speak(TEXT)
        assert not np.array_equal(plain.samples[: len(other.samples)], other.samples[: len(plain.samples)])
        save_file({"speaker": torch.zeros(5)}, file)
        with pytest.raises(WeightsError, match=r"has 5 numbers and not the 8 of its model: replace it"):
            SpeechT5Backend(asked)
    finally:
        file.unlink()


def test_a_vocoder_of_another_row_is_a_part_that_is_fetched_and_weighed(
    folders: dict[str, str], manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocoder = catalog.get("speecht5-hifigan")
    monkeypatch.setitem(catalog.MODELS, vocoder.key, dataclasses.replace(
        vocoder, sources=(catalog.Local(f"{folders['speecht5']}/speecht5-hifigan"),)
    ))  # fmt: skip
    mine = tmp_path / "mine"
    mine.mkdir()
    for file in Path(folders["speecht5"]).iterdir():
        if file.is_file():
            (mine / file.name).write_bytes(file.read_bytes())
    assert catalog.get(str(mine)).parts == ("speecht5-hifigan",)
    known, own = manager.estimate(str(mine)), manager.estimate(folders["speecht5"])
    assert known.parts == own.parts
    assert np.array_equal(
        voice(manager, str(mine)).speak(TEXT).samples, voice(manager, folders["speecht5"]).speak(TEXT).samples
    )


@pytest.mark.parametrize(("flag", "package"), [("is_uroman", "uroman"), ("phonemize", "phonemizer")])
def test_a_tokenizer_that_needs_a_package_says_which(tmp_path: Path, flag: str, package: str) -> None:
    vits(tmp_path, **{flag: True})
    row = catalog.get(str(tmp_path))
    with pytest.raises(Unsupported, match=f"needs the package {package} to read text, which is not installed: install"):
        SpeechOutBackend(Load(row, {row.key: tmp_path}, "cpu", 1))


def test_loading_stops_when_asked(folders: dict[str, str]) -> None:
    row = catalog.get(folders["vits"])
    with pytest.raises(Cancelled, match="Loading vits was stopped"):
        SpeechOutBackend(Load(row, {row.key: Path(folders["vits"])}, "cpu", 1, cancelled=lambda: True))
