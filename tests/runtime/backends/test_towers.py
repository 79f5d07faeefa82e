"""Two towers as an engine: tiny ones, placed in batches, and what was placed is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo import folders
from mmdemo.errors import WeightsError
from mmdemo.fusion.aligned import Aligned
from mmdemo.runtime import backends
from mmdemo.runtime.aligning import Aligner
from mmdemo.runtime.backends.towers import TowersBackend
from mmdemo.runtime.base import Load
from tests.training import toys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toys.towers(tmp_path / "towers")


def loaded(folder: Path) -> TowersBackend:
    spec = folders.spec_of(folder)
    assert spec.tasks == ("align",) and spec.backend == "towers"
    request = Load(spec, {spec.key: folder}, "cpu", 1)
    assert backends.estimate(request).total >= (folder / "model.safetensors").stat().st_size
    engine = backends.load(request)
    assert isinstance(engine, TowersBackend) and isinstance(engine, Aligner) and not engine.hears
    return engine


def test_files_and_texts_are_placed_as_the_towers_place_them_and_files_once(folder: Path, monkeypatch) -> None:
    engine = loaded(folder)
    pictures = [Image.new("RGB", (32, 32), (place * 10, 40, 90)) for place in range(18)]
    places = engine.place_media(pictures)
    both = Aligned.load(folder)
    assert np.allclose(places, both.media_vectors(pictures), atol=1e-5)
    assert np.allclose(
        engine.place_texts(["the red runs", "anna"]), both.text_vectors(["the red runs", "anna"]), atol=1e-5
    )
    assert np.allclose(np.linalg.norm(places, axis=1), 1, atol=1e-5)
    monkeypatch.setattr(engine, "_batched", lambda place, given: pytest.fail("looked again") if given else [])
    assert np.array_equal(engine.place_media(pictures[::-1]), places[::-1])
    engine.close()


def test_a_broken_pair_is_a_sentence(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x08" + bytes(7) + b"{}      ")
    spec = folders.spec_of(folder)
    with pytest.raises(WeightsError):
        TowersBackend(Load(spec, {spec.key: folder}, "cpu", 1))
