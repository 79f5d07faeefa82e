"""GGUF models that see, in llama.cpp: a tiny one answers about pictures, stops, ends, and comes back after a crash."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from mmdemo import folders
from mmdemo.errors import Cancelled, ServerFailed, WeightsError
from mmdemo.runtime import backends
from mmdemo.runtime.backends.llama_cpp import LlamaCppBackend
from mmdemo.runtime.base import Describer, Load, Talker
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from tests.runtime.backends import tiny_gguf


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tiny")
    tiny_gguf.language_model(place / "model-Q8_0.gguf")
    tiny_gguf.eye(place / "mmproj-model-f16.gguf")
    return place


def request(folder: Path, **more: Any) -> Load:
    spec = folders.spec_of(folder)
    return Load(spec, {spec.key: folder}, "cpu", 1, **more)


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[LlamaCppBackend]:
    made = backends.load(request(folder))
    assert isinstance(made, LlamaCppBackend)
    yield made
    made.close()


def pictures(count: int) -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(count)]


def told(backend: LlamaCppBackend, images: list[Image.Image], question: str = "", words: int = 6) -> list[str]:
    seen = backend.describe(images, style="sentence", question=question, max_words=words)
    done = {one.index: one.text for one in seen if one.done}
    return [done[index] for index in range(len(images))]


def running() -> set[int]:
    """The processes of llama.cpp that this one has."""
    return {one.pid for one in psutil.Process().children() if "llama_process" in " ".join(one.cmdline())}


def test_a_folder_with_a_model_and_its_eye_is_a_row_that_sees_and_talks(folder: Path) -> None:
    spec = folders.spec_of(folder)
    assert (spec.backend, spec.tasks, spec.answers) == ("llama_cpp", ("describe", "talk"), True)
    estimate = backends.estimate(request(folder))
    assert estimate.total == sum(path.stat().st_size for path in folder.glob("*.gguf"))


def test_it_answers_about_the_picture_that_it_is_shown(backend: LlamaCppBackend) -> None:
    assert isinstance(backend, Describer) and isinstance(backend, Talker)
    first, second = pictures(2)
    one, other = told(backend, [first], "what"), told(backend, [second], "what")
    assert one != other and told(backend, [first], "what") == one, "another picture, other words; the same, the same"


def test_several_pictures_are_answered_together(backend: LlamaCppBackend) -> None:
    assert len(told(backend, pictures(5))) == 5


def test_it_talks_in_pieces(backend: LlamaCppBackend) -> None:
    pieces = list(backend.talk([{"role": "user", "content": "the dog"}], max_tokens=12))
    assert len(pieces) > 3


def test_nobody_else_can_ask_it(backend: LlamaCppBackend) -> None:
    import urllib.error
    import urllib.request

    ask = urllib.request.Request(f"{backend._source.url}/chat/completions", b"{}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(ask, timeout=20)
    with refused.value:
        assert refused.value.code == 401


def test_stopping_takes_less_than_a_second(backend: LlamaCppBackend) -> None:
    answer = backend.describe(pictures(1), style="sentence", question="what", max_words=1000)
    next(answer)
    begun = time.monotonic()
    answer.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 1


def test_a_crash_is_told_and_the_next_question_is_answered(backend: LlamaCppBackend) -> None:
    answer = backend.talk([{"role": "user", "content": "the dog"}], max_tokens=2000)
    next(answer)
    backend._llama.running.kill()
    with pytest.raises(ServerFailed, match=r"llama\.cpp ended while .* answered \(status -9\): try again"):
        list(answer)
    assert told(backend, pictures(1), "what")


def test_the_manager_loads_and_unloads_it_and_the_process_is_gone(folder: Path, tmp_path: Path) -> None:
    manager = Manager(Settings(home=str(tmp_path), device="cpu", threads=1))
    loaded = manager.get(str(folder))
    assert isinstance(loaded, LlamaCppBackend)
    process = psutil.Process(loaded._llama.running.pid)
    manager.unload(str(folder))
    assert not process.is_running()
    manager.close()


def test_a_file_that_llama_cpp_cannot_run_says_why(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes((folder / "model-Q8_0.gguf").read_bytes())
    (tmp_path / "mmproj.gguf").write_bytes((folder / "model-Q8_0.gguf").read_bytes())  # no eye
    with pytest.raises(WeightsError, match=r"cannot be run by llama\.cpp \(.+\): choose another model"):
        backends.load(request(tmp_path))


def test_an_eye_alone_is_no_model(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mmproj.gguf").write_bytes((folder / "mmproj-model-f16.gguf").read_bytes())
    with pytest.raises(WeightsError, match="needs two GGUF files"):
        backends.load(request(tmp_path))


def test_without_the_package_the_row_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="needs the package xllamacpp: install it, or move the mmproj file away"):
        folders.spec_of(folder)


def test_loading_stops_when_the_user_does(folder: Path) -> None:
    before, asked = running(), iter([False, False])
    with pytest.raises(Cancelled):
        backends.load(request(folder, cancelled=lambda: next(asked, True)))
    assert running() == before
