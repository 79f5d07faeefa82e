"""Pictures, sound and video in one: a tiny Qwen2.5-Omni in a folder describes, transcribes and answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import UnknownName, WeightsError
from mmdemo.runtime.backends.multimodal import MultimodalBackend, asked_to_write
from mmdemo.runtime.base import RATE, Clip, Describer, Hearing, Multimodal, Transcriber
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.backends.test_families import pictures, said
from tests.runtime.backends.tiny_omni import qwen2_5_omni
from tests.runtime.backends.weighing import held

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torchvision_ops.prepare()
    torch.manual_seed(1)
    made = tmp_path_factory.mktemp("omni")
    qwen2_5_omni(made)
    return str(made)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    home = str(tmp_path_factory.mktemp("home"))
    return Manager(Settings(home=home, device="cpu", threads=1, offline=True))


@pytest.fixture
def omni(folder: str, manager: Manager) -> Iterator[MultimodalBackend]:
    backend = manager.get(folder, how=How("fp32", "cpu"))
    assert isinstance(backend, MultimodalBackend)
    yield backend


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, int(seconds * RATE)).astype(np.float32)


def test_one_row_sees_and_hears(folder: str, omni: MultimodalBackend) -> None:
    row = catalog.get(folder)
    assert (row.backend, row.tasks, row.answers) == ("multimodal", ("describe", "transcribe"), True)
    assert isinstance(omni, Describer) and isinstance(omni, Transcriber) and isinstance(omni, Multimodal)
    names = {name.split(".")[0] for name, _ in omni._model.named_parameters()}
    assert names == {"model", "lm_head"}, "its voice is not loaded"


def test_pictures_described_together_get_the_words_they_get_alone(omni: MultimodalBackend) -> None:
    together = said(omni, pictures())
    assert all(together) and len(set(together)) == 3
    assert together == [said(omni, [image])[0] for image in pictures()]
    assert said(omni, pictures(), question="what is it") != together


def test_clips_of_several_files_are_transcribed_in_their_order(omni: MultimodalBackend) -> None:
    clips = [Clip(noise(2.0), 1.0, 0), Clip(noise(1.0, 1), 4.0, 1), Clip(noise(0.1, 2), 8.0, 2)]
    heard = list(omni.transcribe(clips, Hearing(language="de")))
    assert heard and [item.source for item in heard] == sorted(item.source for item in heard)
    for item in heard:
        clip = clips[item.source]
        assert (item.segment.start, item.segment.end) == (clip.start, clip.start + len(clip.samples) / RATE)
        assert item.segment.text and item.language == "de"
    alone = list(omni.transcribe(clips[1:2], Hearing(language="de")))
    (together,) = (one.segment.text for one in heard if one.source == 1)
    assert together.startswith(alone[0].segment.text), "the longest of a batch says how much may be written"
    with pytest.raises(UnknownName, match="no language 'xx'"):
        list(omni.transcribe(clips, Hearing(language="xx")))


def test_what_it_is_asked_says_how_to_listen() -> None:
    assert asked_to_write(Hearing(), "") == "Write down word for word what is said in this recording. Only the text."
    assert asked_to_write(Hearing(translate=True, prompt=" Dupont "), "french") == (
        "Translate what is said in this recording into English. It is in French. Names and terms in it: Dupont. "
        "Only the text."
    )


def test_an_answer_depends_on_the_pictures_the_sound_the_video_and_the_question(omni: MultimodalBackend) -> None:
    one, other, frame = pictures()
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)

    def answer(question: str = "what is it", **given: object) -> str:
        return "".join(omni.reply(question, max_words=8, **given))  # type: ignore[arg-type]

    images, sounds = ({"images": [one]}, {"images": [one, other]}), ({"sounds": [noise(1.0)]}, {"sounds": [tone]})
    videos = {"frames": [frame] * 4, "seconds": 2.0}, {"frames": [frame, frame.rotate(90)] * 2, "seconds": 2.0}
    alone = [answer(**given) for pair in (images, sounds, videos) for given in pair]
    assert all(alone) and len(set(alone)) == 6, "it sees and hears each"
    first: list[torch.Tensor] = []

    def scores(**given: object) -> torch.Tensor:
        """Of all words, for the first one of the answer."""
        first.clear()
        handle = omni._model.lm_head.register_forward_hook(lambda *seen: first.append(seen[2][0, -1].clone()))
        assert answer(**given)  # type: ignore[arg-type]
        handle.remove()
        return first[0]

    together = scores(**images[0], **sounds[0], **videos[0])
    assert torch.equal(scores(**images[0], **sounds[0], **videos[0]), together)
    others = [
        scores(**images[1], **sounds[0], **videos[0]),
        scores(**images[0], **sounds[1], **videos[0]),
        scores(**images[0], **sounds[0], **videos[1]),
        scores(question="the red ball", **images[0], **sounds[0], **videos[0]),
    ]
    assert all(float((other - together).abs().max()) > 0.01 for other in others), "it reads all of it at once"


def test_the_time_between_frames_is_told(omni: MultimodalBackend) -> None:
    chat = [[{"role": "user", "content": [{"type": "video", "video": [np.asarray(pictures()[2])] * 4}]}]]
    given = omni._chatted(chat, videos_kwargs={"do_sample_frames": False, "fps": 0.5})
    assert given["video_grid_thw"][0][0] == 2, "two frames make one step"
    assert float(given["video_second_per_grid"][0]) == 4.0


@pytest.mark.parametrize("way", ["fp32", "bf16", "int8"])
def test_the_estimate_is_what_the_thinker_takes_and_it_works_in_every_way(
    folder: str, manager: Manager, way: str
) -> None:
    known = manager.estimate(folder, How(way, "cpu"))
    backend = manager.get(folder, how=How(way, "cpu"))
    assert isinstance(backend, MultimodalBackend)
    assert 0.9 <= known.weights / held(backend._model) <= 1.1
    assert known.cache > 0 and known.activations > 0
    assert all(said(backend, pictures()))
    assert list(backend.transcribe([Clip(noise(1.0))], Hearing()))


def test_a_thinker_without_a_weight_is_refused(folder: str, manager: Manager, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in Path(folder).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if "audio_tower" in name)
    save_file(
        {name: one for name, one in weights.items() if name != gone}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(WeightsError, match="lacks 1 of the weights it needs"):
        manager.get(str(tmp_path))
