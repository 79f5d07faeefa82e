"""Every family that hears as text is written: tiny Whisper and Moonshine in folders; and the fusion model in one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Unsupported
from mmdemo.runtime.backends.linear8 import Linear8
from mmdemo.runtime.base import RATE, Clip, Hearing, Transcriber
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.backends.test_families import pictures, said
from tests.runtime.backends.tiny_speech import moonshine, whisper
from tests.runtime.backends.weighing import held

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop
BUILDERS = {"whisper": whisper, "moonshine": moonshine}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
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
    home = str(tmp_path_factory.mktemp("home"))
    return Manager(Settings(home=home, device="cpu", threads=1, offline=True))


@pytest.mark.parametrize("way", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_folder_transcribes_in_every_way_and_takes_what_was_estimated(
    folders: dict[str, str], manager: Manager, name: str, way: str
) -> None:
    row = catalog.get(folders[name])
    assert (row.backend, row.tasks) == ("speech_seq2seq", ("transcribe",))
    known = manager.estimate(folders[name], How(way, "cpu"))
    backend = manager.get(folders[name], how=How(way, "cpu"))
    assert isinstance(backend, Transcriber)
    sounds = [np.random.default_rng(seed).normal(0, 0.1, RATE * (2 + seed)).astype(np.float32) for seed in range(2)]
    clips = [Clip(sound, 10.0 * source, source) for source, sound in enumerate(sounds)]
    heard = list(backend.transcribe(clips, Hearing(language="en")))
    assert heard
    for item in heard:
        clip = clips[item.source]
        assert clip.start <= item.segment.start <= item.segment.end <= clip.start + len(clip.samples) / RATE + 1e-3
        assert item.segment.text and item.language == "en"
    assert 0.9 <= known.weights / held(backend._model) <= 1.1, (known, held(backend._model))  # type: ignore[attr-defined]
    kinds = {type(module) for module in backend._model.modules()}  # type: ignore[attr-defined]
    assert (Linear8 in kinds) == (way == "int8")


def test_the_fusion_model_describes_from_a_folder_and_takes_what_was_estimated(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file

    from mmdemo.fusion import checkpoint
    from tests.fusion.toys import toy_model
    from tests.runtime.backends.tiny_vision import WORDS, tokenizer

    folder, encoder = tmp_path / "mine", tmp_path / "encoder"
    folder.mkdir()
    encoder.mkdir()
    model = toy_model(seed=3)
    with torch.no_grad():
        for parameter in model.language_model.parameters():
            parameter.mul_(8 if parameter.dim() > 1 else 1)  # or it ends at once
    checkpoint.save(model, folder)
    tokenizer([]).backend_tokenizer.save(str(folder / "tokenizer.json"))
    save_file(model.vision.network.state_dict(), encoder / checkpoint.ENCODER_FILE)
    (encoder / "config.json").write_text("{}")
    (encoder / checkpoint.LABELS_FILE).write_text(json.dumps([f"{word}, n" for word in WORDS.split()[:10]]))
    eye = dataclasses.replace(catalog.get("efficientnet-lite2"), sources=(catalog.Local(str(encoder)),), files=())
    monkeypatch.setitem(catalog.MODELS, eye.key, eye)
    row = catalog.get(str(folder))
    assert (row.backend, row.parts, row.styles) == ("fusion", (eye.key,), ("sentence", "alt", "tags"))
    known = manager.estimate(str(folder))
    backend = manager.get(str(folder))
    words = said(backend, pictures())
    assert words == [said(backend, [image])[0] for image in pictures()]
    assert any(words)
    assert set(", ".join(said(backend, pictures(), "tags")).split(", ")) <= set(WORDS.split()[:10])
    taken = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    assert sum(4 * stored.numbers for stored in known.stored) == pytest.approx(taken, rel=0.001)
    assert 2 * taken <= known.weights <= 4 * taken  # in two graphs, mapped and as computed with
    with pytest.raises(Unsupported, match=r"mine does not run in int8 on this device .cpu.; choose one of: auto, fp32"):
        manager.get(str(folder), how=How("int8", "cpu"))
