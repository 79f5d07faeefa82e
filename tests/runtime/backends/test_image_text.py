"""Vision-language models: tiny random checkpoints of the real architectures, loaded from a folder like any other."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Cancelled, DoesNotFit, UnknownName, Unsupported, WeightsError
from mmdemo.runtime.backends import checkpoint, image_text, quantized, sizing
from mmdemo.runtime.backends.image_text import ImageTextBackend, shrunk
from mmdemo.runtime.base import Describer, Load, Seen
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.runtime.backends.tiny_vision import BUILDERS

CHATTING = [name for name in BUILDERS if name != "blip"]
SPEC = catalog.get("smolvlm2-256m")
CAPTIONER = dataclasses.replace(SPEC, title="A captioner", answers=False, styles=("sentence",))

Make = Callable[[str], ImageTextBackend]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint folder for each architecture."""
    torchvision_ops.prepare()
    made = {}
    for name, build in BUILDERS.items():
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp(name)
        build(made[name])
    return made


@pytest.fixture
def make(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Loads a tiny checkpoint in float32, so that padding cannot tip a tie between two words."""
    monkeypatch.setattr(quantized, "best_dtype", lambda device: torch.float32)
    return lambda name: ImageTextBackend(request(folders, name))


def request(folders: dict[str, Path], name: str, **more: object) -> Load:
    spec = CAPTIONER if name == "blip" else SPEC
    return Load(spec, {spec.key: folders[name]}, "cpu", 1, **more)  # type: ignore[arg-type]


def pictures() -> list[Image.Image]:
    """Noise in three shapes: landscape, portrait, square."""
    noise = np.random.default_rng(0)
    shapes = ((60, 80), (40, 30), (64, 64))
    return [Image.fromarray(noise.integers(0, 255, (*shape, 3), dtype=np.uint8)) for shape in shapes]


def said(backend: ImageTextBackend, images: list[Image.Image], question: str = "", words: int = 6) -> list[str]:
    """The last text of each picture."""
    last: dict[int, Seen] = {}
    for seen in backend.describe(images, style="sentence", question=question, max_words=words):
        last[seen.index] = seen
    assert all(seen.done for seen in last.values())
    return [last[index].text for index in range(len(images))]


@pytest.mark.parametrize("name", BUILDERS)
def test_pictures_described_together_get_the_words_they_get_alone(make: Make, name: str) -> None:
    backend = make(name)
    assert isinstance(backend, Describer)
    together = said(backend, pictures())
    assert together == [said(backend, [image])[0] for image in pictures()]
    assert all(together)


@pytest.mark.parametrize("name", CHATTING)
def test_different_pictures_and_questions_get_different_words(make: Make, name: str) -> None:
    backend = make(name)
    answers = said(backend, pictures(), "what is it")
    assert len(set(answers)) == 3, "it looks at the picture"
    assert answers != said(backend, pictures(), "the red ball"), "it reads the question"
    assert answers != said(backend, pictures()), "a question is not the style's prompt"


@pytest.mark.parametrize("name", BUILDERS)
def test_words_stream_and_every_picture_is_done_once(make: Make, name: str) -> None:
    seen = list(make(name).describe(pictures(), style="sentence", question="", max_words=6))
    for index in range(3):
        own = [entry for entry in seen if entry.index == index]
        assert [entry.done for entry in own] == [False] * (len(own) - 1) + [True]
        assert len(own) >= 3
        assert own[-1].text == own[-1].text.strip()
    assert not seen[0].done
    assert not seen[1].done, "the pictures grow side by side"


@pytest.mark.parametrize("name", BUILDERS)
def test_stopping_in_the_middle_stops_the_model_and_the_next_request_works(make: Make, name: str) -> None:
    backend = make(name)
    expected = said(backend, pictures())
    steps: list[int] = []
    part = backend._model.text_decoder if name == "blip" else backend._model
    handle = part.register_forward_hook(lambda *_: steps.append(1))
    answer = backend.describe(pictures(), style="sentence", question="", max_words=400)
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    handle.remove()
    assert len(steps) < 100, "far from the 640 tokens that were allowed"
    assert not [thread for thread in threading.enumerate() if thread.name == "generate"]
    assert said(backend, pictures()) == expected


def test_a_tokenizer_that_cannot_pad_gets_one_picture_at_a_time(make: Make) -> None:
    backend = make("qwen3_vl")
    together = said(backend, pictures())
    backend._tokenizer.pad_token = None
    assert said(backend, pictures()) == together


def test_a_captioner_says_that_it_does_not_answer(make: Make) -> None:
    with pytest.raises(Unsupported, match="A captioner describes but does not answer"):
        said(make("blip"), pictures(), "what is it")


def test_a_style_that_the_row_does_not_have_lists_those_it_has(make: Make) -> None:
    with pytest.raises(UnknownName, match="no style 'tags'; choose from: sentence"):
        list(make("blip").describe(pictures(), style="tags", question="", max_words=5))


def test_every_style_has_its_own_prompt() -> None:
    assert set(image_text.PROMPTS) == set(catalog.STYLES)
    assert len(set(image_text.PROMPTS.values())) == 4


@pytest.mark.parametrize("name", BUILDERS)
def test_the_size_is_known_from_the_configuration_alone(
    folders: dict[str, Path], make: Make, name: str, tmp_path: Path
) -> None:
    backend = make(name)
    bytes_of_weights = sum(parameter.nbytes for parameter in backend._model.parameters())
    (tmp_path / "config.json").write_bytes((folders[name] / "config.json").read_bytes())
    known = sizing.estimate(tmp_path, "AutoModelForImageTextToText", "cpu", "fp32")
    buffers = sum(buffer.nbytes for buffer in backend._model.buffers())
    assert known.weights == bytes_of_weights + buffers
    assert sum(part.parameters for part in known.parts) >= sum(one.numel() for one in backend._model.parameters())


def test_what_does_not_fit_is_refused_before_its_weights_are_read(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_bytes((folders["qwen3_vl"] / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")  # reading these would fail
    row = dataclasses.replace(SPEC, sources=(catalog.Local(str(tmp_path)),), files=())
    monkeypatch.setitem(catalog.MODELS, row.key, row)
    home = str(tmp_path / "home")
    with pytest.raises(DoesNotFit, match=r"SmolVLM2 256M needs about .* a smaller model"):
        Manager(Settings(home=home, device="cpu", memory_gb=0.001)).get(row.key)
    with pytest.raises(WeightsError, match="cannot be opened"):
        Manager(Settings(home=home, device="cpu", memory_gb=1000)).get(row.key)


def test_an_architecture_that_does_not_see_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clap"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="clap"):
        ImageTextBackend.estimate(request({"odd": tmp_path}, "odd"))
    with pytest.raises(WeightsError, match="cannot be opened"):
        ImageTextBackend(request({"odd": tmp_path}, "odd"))


def test_code_that_a_checkpoint_brings_is_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}')
    (tmp_path / "mine.py").write_text(f"open({str(ran)!r}, 'w')")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError):
        ImageTextBackend(request({"odd": tmp_path}, "odd"))
    assert not ran.exists()


def test_loading_stops_when_the_user_does(folders: dict[str, Path]) -> None:
    with pytest.raises(Cancelled, match="Loading SmolVLM2 256M was stopped"):
        ImageTextBackend(request(folders, "smolvlm", cancelled=lambda: True))


def test_a_model_whose_loading_has_ended_is_kept_though_the_user_has_stopped(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    load = checkpoint.open_model

    def finished(*given: object, **options: object) -> object:
        model = load(*given, **options)  # type: ignore[arg-type]
        stopped.set()
        return model

    monkeypatch.setattr(checkpoint, "open_model", finished)
    assert said(ImageTextBackend(request(folders, "smolvlm", cancelled=stopped.is_set)), pictures()[:1])


def test_a_large_picture_is_shrunk_in_its_proportions() -> None:
    assert shrunk(Image.new("RGB", (4000, 2000)), 500_000).size == (1000, 500)
    small = Image.new("RGB", (30, 20))
    assert shrunk(small, 500_000) is small
    assert shrunk(Image.new("RGB", (100_000, 1)), 1000).height == 1
