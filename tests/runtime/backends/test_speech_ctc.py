"""A letter for each frame: a tiny wav2vec2 in a folder hears as any other model does, and its own tokenizer agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Cancelled, UnknownName, Unsupported
from mmdemo.runtime.backends.sizing import Live
from mmdemo.runtime.backends.speech_ctc import Letter, SpeechCTCBackend, letters
from mmdemo.runtime.base import RATE, Clip, Heard, Hearing, Load, Transcriber
from mmdemo.runtime.manager import Manager
from mmdemo.runtime.standing import How
from mmdemo.settings import Settings
from tests.runtime.backends.tiny_speech import ctc
from tests.runtime.backends.weighing import held

pytestmark = pytest.mark.filterwarnings("ignore")  # torch announces what it will drop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torchvision_ops.prepare()
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("wav2vec2")
    ctc(made)
    return str(made)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    home = str(tmp_path_factory.mktemp("home"))
    return Manager(Settings(home=home, device="cpu", threads=1, offline=True))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Bursts, each of another loudness, so that frames differ."""
    generator = np.random.default_rng(seed)
    loud = np.repeat(generator.uniform(0.01, 1.0, 1 + int(seconds * 10)), RATE // 10)[: int(seconds * RATE)]
    return (generator.normal(0, 0.3, int(seconds * RATE)) * loud).astype(np.float32)


def heard(backend: object, *clips: Clip, **how: object) -> list[Heard]:
    assert isinstance(backend, Transcriber)
    return list(backend.transcribe(clips, Hearing(**how)))  # type: ignore[arg-type]


def test_a_folder_hears_the_words_that_its_own_tokenizer_reads_off_the_frames(folder: str, manager: Manager) -> None:
    row = catalog.get(folder)
    assert (row.backend, row.tasks) == ("speech_ctc", ("transcribe",))
    backend = manager.get(folder, how=How("fp32", "cpu"))
    assert isinstance(backend, SpeechCTCBackend)
    sound = noise(3.0)
    (found,) = heard(backend, Clip(sound, 10.0, 4), words=True)
    processor, model = backend._processor, backend._model
    with torch.inference_mode():
        logits = model(**processor(sound, sampling_rate=RATE, return_tensors="pt")).logits[0]
    told = processor.tokenizer.decode(logits.argmax(-1), output_word_offsets=True)
    second = 3.0 / len(logits)
    expected = [
        (word["word"].lower(), 10.0 + word["start_offset"] * second, 10.0 + word["end_offset"] * second)
        for word in told.word_offsets
    ]
    words = found.segment.words
    assert len(words) >= 2, told.text
    assert [word.text for word in words] == [text for text, _, _ in expected]
    times = [(word.start, word.end) for word in words]
    assert np.allclose(times, [(start, end) for _, start, end in expected], atol=1e-3)
    assert found.segment.text == " ".join(text for text, _, _ in expected)
    assert (found.segment.start, found.segment.end) == (times[0][0], times[-1][1])
    assert 10.0 <= found.segment.start < found.segment.end <= 13.0
    assert all(0 < word.probability <= 1 for word in words)
    assert (found.source, found.language) == (4, "")


def test_clips_of_several_files_are_heard_together_as_they_are_alone(folder: str, manager: Manager) -> None:
    backend = manager.get(folder, how=How("fp32", "cpu"))
    clips = [Clip(noise(2.0), 1.0, 0), Clip(noise(3.0, 1), 4.0, 1), Clip(noise(0.1, 2), 8.0, 2)]
    together = heard(backend, *clips, language="de")
    assert {item.source for item in together} >= {0, 1}
    assert {(item.language, item.language_probability) for item in together} == {("de", 1.0)}
    for item in together:
        clip = clips[item.source]
        assert item.segment.words == ()
        assert clip.start <= item.segment.start < item.segment.end <= clip.start + len(clip.samples) / RATE + 0.02
    backend._processor.feature_extractor.return_attention_mask = False  # type: ignore[attr-defined]
    alone = heard(backend, *clips, language="de")
    backend._processor.feature_extractor.return_attention_mask = True  # type: ignore[attr-defined]
    assert [item.source for item in alone] == [item.source for item in together]
    for one, other in zip(alone, together, strict=True):
        assert one.segment.text == other.segment.text
        assert abs(one.segment.end - other.segment.end) <= 0.02, "the last frame of a batch is a little longer"


def test_silence_gives_no_segment(folder: str, manager: Manager) -> None:
    backend = manager.get(folder, how=How("fp32", "cpu"))
    with torch.no_grad():
        backend._model.lm_head.bias[0] += 1000  # type: ignore[attr-defined]
        assert heard(backend, Clip(noise(2.0))) == []
        backend._model.lm_head.bias[0] -= 1000  # type: ignore[attr-defined]


def test_what_it_cannot_do_is_one_sentence(folder: str, manager: Manager) -> None:
    backend = manager.get(folder, how=How("fp32", "cpu"))
    with pytest.raises(Unsupported, match="writes what it hears and does not translate: choose a Whisper model"):
        heard(backend, Clip(noise(1.0)), translate=True)
    with pytest.raises(UnknownName, match="no language 'xx'"):
        heard(backend, Clip(noise(1.0)), language="xx")


@pytest.mark.parametrize("way", ["fp32", "bf16", "int8"])
def test_the_estimate_is_what_it_takes_and_it_hears_in_every_way(folder: str, manager: Manager, way: str) -> None:
    how = How(way, "cpu")
    known = manager.estimate(folder, how)
    backend = manager.get(folder, how=how)
    assert heard(backend, Clip(noise(2.0)))
    assert 0.9 <= known.weights / held(backend._model) <= 1.1  # type: ignore[attr-defined]
    assert known.cache == 0, "it has none"
    with torch.inference_mode(), Live() as live:
        backend._model(torch.zeros(1, 30 * RATE, dtype=backend._dtype))  # type: ignore[attr-defined]
    if way == "fp32":  # a CPU computes the others in copies that no operator's shape tells
        assert 0.9 <= known.activations / live.peak <= 1.1


@pytest.mark.parametrize("kind", ["hubert", "wavlm"])
def test_its_kin_hear_from_their_folders_in_every_way(manager: Manager, tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    ctc(tmp_path, kind)
    assert catalog.get(str(tmp_path)).backend == "speech_ctc"
    if kind == "wavlm":
        with pytest.raises(
            Unsupported, match=r"does not run in int8 on this device .cpu.; choose one of: auto, fp32, bf16"
        ):
            manager.get(str(tmp_path), how=How("int8", "cpu"))
    for way in ("fp32", "bf16" if kind == "wavlm" else "int8"):
        known = manager.estimate(str(tmp_path), How(way, "cpu"))
        backend = manager.get(str(tmp_path), how=How(way, "cpu"))
        (found,) = heard(backend, Clip(noise(2.0), 5.0), words=True)
        assert found.segment.words and 5.0 <= found.segment.start < found.segment.end <= 7.0
        assert 0.9 <= known.weights / held(backend._model) <= 1.1  # type: ignore[attr-defined]


def test_a_letter_that_is_said_twice_has_a_blank_between() -> None:
    tokens = ["-", "a", "b"]
    best = [0, 1, 1, 0, 1, 2, 2, 0]
    chances = np.full((8, 3), 0.1, np.float32)
    chances[range(8), best] = 0.8
    assert [(one.token, one.start, one.end) for one in letters(chances, tokens, 0)] == [
        ("a", 1, 3), ("a", 4, 5), ("b", 5, 7),
    ]  # fmt: skip
    assert list(letters(chances[:0], tokens, 0)) == []


def test_pieces_of_words_are_joined_where_a_piece_begins_a_word(folder: str) -> None:
    backend = SpeechCTCBackend.__new__(SpeechCTCBackend)
    backend._unspoken, backend._delimiter, backend._capitals = {"<unk>"}, "", False
    found = [Letter("▁he", 0, 2, 0.5), Letter("llo", 2, 4, 1.0), Letter("<unk>", 4, 5, 1.0), Letter("▁You", 6, 7, 0.25)]
    words = list(backend._words(found, 1.0, 0.5))
    assert [(word.text, word.start, word.end, word.probability) for word in words] == [
        ("hello", 1.0, 3.0, 0.75), ("You", 4.0, 4.5, 0.25),
    ]  # fmt: skip


def test_loading_stops_when_asked(folder: str) -> None:
    row = catalog.get(folder)
    request = Load(row, {row.key: Path(folder)}, "cpu", 1, cancelled=lambda: True)
    with pytest.raises(Cancelled, match="was stopped"):
        SpeechCTCBackend(request)
