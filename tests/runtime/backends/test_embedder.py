"""The text encoder, with its real weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mmdemo import catalog
from mmdemo.errors import WeightsError
from mmdemo.runtime.backends.embedder import EmbedderBackend
from mmdemo.runtime.base import Embedder, Load
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings

SPEC = catalog.get("all-minilm-l6-v2")
TEXTS = ["A dog runs on the beach.", "A puppy is racing along the shore.", "The bank raised its interest rates."]

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def folder() -> Path:
    return fetch(SPEC, Settings.load())


@pytest.fixture(scope="module")
def embedder(folder: Path) -> EmbedderBackend:
    return EmbedderBackend(Load(SPEC, {SPEC.key: folder}, "cpu", 2))


def test_a_paraphrase_is_nearer_than_another_subject(embedder: EmbedderBackend) -> None:
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(TEXTS)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.5
    assert far < 0.1


def test_vectors_have_length_one_and_the_published_width(embedder: EmbedderBackend) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_text_has_the_same_vector_alone_and_among_others(embedder: EmbedderBackend) -> None:
    many = [f"{text} {'Then nothing happened. ' * (number % 7)}" for number in range(30) for text in TEXTS]
    together = embedder.embed(many)  # more than a batch, of many lengths, and in this order
    for index in (0, 17, 44, 89):
        np.testing.assert_allclose(together[index], embedder.embed([many[index]])[0], atol=1e-5)


def test_it_agrees_with_the_formula_written_out(embedder: EmbedderBackend, folder: Path) -> None:
    import torch

    from mmdemo.runtime.backends.embedder_torch import TorchEncoder

    torch_one = TorchEncoder(Load(SPEC, {SPEC.key: folder}, "cpu", 2))
    with torch.inference_mode():
        mean = torch_one.model.encoder(**torch_one.tokens(TEXTS[:1])).last_hidden_state[0].mean(0).numpy()
    np.testing.assert_allclose(embedder.embed([TEXTS[0]])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_openvino_and_torch_agree_and_the_default_is_openvino(embedder: EmbedderBackend, folder: Path) -> None:
    plain = EmbedderBackend(Load(SPEC, {SPEC.key: folder}, "cpu", 2, quantization="fp32"))
    assert [type(one._encoder).__name__ for one in (embedder, plain)] == ["OpenVinoEncoder", "TorchEncoder"]
    texts = [*TEXTS, "", "狗在海滩上奔跑。", "word " * 5000]
    np.testing.assert_allclose(embedder.embed(texts), plain.embed(texts), atol=1e-4)


def test_no_texts_and_an_empty_text_are_fine(embedder: EmbedderBackend) -> None:
    assert embedder.embed([]).shape == (0, 384)
    assert np.isfinite(embedder.embed([""])).all()


def test_a_very_long_text_is_cut_not_refused(embedder: EmbedderBackend) -> None:
    assert np.isfinite(embedder.embed(["word " * 5000])).all()


def test_a_broken_file_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken, ignore=shutil.ignore_patterns("openvino"))
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(WeightsError, match=r"all-MiniLM-L6-v2 .* cannot be opened"):
        EmbedderBackend(Load(SPEC, {SPEC.key: broken}, "cpu", 2))
