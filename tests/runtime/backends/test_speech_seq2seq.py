from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmdemo import catalog, torchvision_ops
from mmdemo.errors import Cancelled, UnknownName, Unsupported, WeightsError
from mmdemo.media.audio import stream_audio
from mmdemo.runtime.backends import estimate, load
from mmdemo.runtime.backends.speech_seq2seq import SpeechSeq2SeqBackend
from mmdemo.runtime.base import Clip, Hearing, Load, Transcriber
from mmdemo.runtime.convert import ctranslate2_to_transformers
from mmdemo.runtime.sources import fetch
from mmdemo.settings import Settings
from tests.runtime.backends.tiny_speech import moonshine

RATE = 16_000
TURBO = catalog.get("whisper-large-v3-turbo")
MOONSHINE = catalog.get("moonshine-base")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def backend(folder: Path, spec: catalog.ModelSpec = TURBO) -> SpeechSeq2SeqBackend:
    return load(Load(spec, {spec.key: folder}, "cpu", 2))


@pytest.fixture(scope="module")
def tiny_en(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fetch(catalog.get("whisper-tiny.en"), Settings.load(), lambda progress: None, lambda: False)
    return ctranslate2_to_transformers(folder, tmp_path_factory.mktemp("hub") / "tiny.en")


@pytest.fixture(scope="module")
def random_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random layers of the large v3 turbo architecture (128 mel bins) beside the real multilingual processor."""
    torchvision_ops.prepare()
    import torch
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    base = fetch(catalog.get("whisper-base"), Settings.load(), lambda progress: None, lambda: False)
    folder = ctranslate2_to_transformers(base, tmp_path_factory.mktemp("hub") / "base")
    config = WhisperConfig.from_pretrained(folder)
    sizes = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
    config.update({**sizes, "d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 128})
    generation = GenerationConfig.from_pretrained(folder)
    generation.update(alignment_heads=[[1, 0], [1, 1]], max_length=24)
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    model.generation_config = generation
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def random_moonshine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torchvision_ops.prepare()
    folder = tmp_path_factory.mktemp("hub") / "moonshine"
    moonshine(folder)
    return folder


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
def test_the_converted_starter_hears_several_files_with_times_and_words(tiny_en: Path, data: Path) -> None:
    model = backend(tiny_en)
    assert isinstance(model, Transcriber)
    files = ["libri_1272-128104-0000.flac", "vctk_p225_011.flac"]
    sounds = [
        np.concatenate([block.samples for block in stream_audio(data / "speech_en" / name, Settings())])
        for name in files
    ]
    clips = [Clip(sounds[0], 10.0, 0), Clip(np.zeros(2 * RATE, np.float32), 0.0, 1), Clip(sounds[1], 5.0, 2)]
    heard = list(model.transcribe(clips, Hearing(words=True, language="en")))
    first = [item for item in heard if item.source == 0]
    text = " ".join(item.segment.text for item in first)
    assert text == "Mr. Quilter is the apostle of the middle classes, and we are glad to welcome his gospel."
    assert 10.0 <= first[0].segment.start < 10.6 and 15.0 < first[-1].segment.end < 16.0
    words = [word for item in first for word in item.segment.words]
    assert " ".join(word.text for word in words) == text
    assert all(10.0 <= word.start <= word.end <= 15.9 and 0.0 <= word.probability <= 1.0 for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert np.mean([word.probability for word in words]) > 0.5
    assert [item.source for item in heard] == sorted(item.source for item in heard)
    assert {item.language for item in heard} == {"en"}
    assert any(item.source == 2 for item in heard)
    with pytest.raises(Unsupported, match="hears only en, not 'de'"):
        list(model.transcribe(clips, Hearing(language="de")))
    model.close()


@pytest.mark.weights
@pytest.mark.filterwarnings("ignore")
def test_a_random_checkpoint_of_the_large_architecture_runs_with_every_option(random_whisper: Path) -> None:
    model = backend(random_whisper)
    clips = [Clip(noise(2.0), 0.0, 0), Clip(noise(3.0, 1), 7.0, 1), Clip(noise(0.05, 2), 9.0, 1)]
    said = 0
    for hearing in (
        Hearing(),
        Hearing(language="zh", beams=2),
        Hearing(language="fr", translate=True, prompt="Dupont"),
        Hearing(words=True),
    ):
        heard = list(model.transcribe(clips, hearing))
        said += len(heard)
        assert [item.source for item in heard] == sorted(item.source for item in heard)
        for item in heard:
            clip = clips[item.source] if item.segment.start < 9.0 else clips[2]
            end = clip.start + len(clip.samples) / RATE
            assert clip.start <= item.segment.start <= item.segment.end <= end + 1e-3
            assert item.segment.text
            assert item.language == (hearing.language or item.language) and len(item.language) in (2, 3)
            assert 0.0 < item.language_probability <= 1.0
    assert said
    with pytest.raises(UnknownName, match=r"There is no language 'xx'; choose from: af, am, .*zh"):
        list(model.transcribe(clips, Hearing(language="xx")))


@pytest.mark.filterwarnings("ignore")
def test_moonshine_gives_one_segment_for_each_clip(random_moonshine: Path) -> None:
    model = backend(random_moonshine, MOONSHINE)
    clips = [Clip(noise(2.0), 1.0, 0), Clip(noise(1.0, 1), 4.0, 1), Clip(noise(0.02, 2), 8.0, 2)]
    heard = list(model.transcribe(clips, Hearing(words=True, prompt="x")))
    assert heard
    for item in heard:
        clip = clips[item.source]
        assert (item.segment.start, item.segment.end) == (clip.start, clip.start + len(clip.samples) / RATE)
        assert item.segment.text and set(item.segment.text) <= set("abcdefghijklmnopqrstuvwxyz ")
        assert (item.language, item.segment.words) == ("en", ())
    assert len({item.source for item in heard}) == len(heard)
    alone = list(model.transcribe(clips[:1], Hearing()))
    assert [item.segment.text for item in alone] == [item.segment.text for item in heard if item.source == 0]


def test_a_folder_without_a_model_is_refused_in_one_sentence(random_moonshine: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Whisper large v3 turbo has no weights in"):
        backend(tmp_path)
    shutil.copytree(random_moonshine, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(WeightsError, match=r"The header of .+/model\.safetensors is broken, or lies"):
        backend(tmp_path, MOONSHINE)


@pytest.mark.filterwarnings("ignore")
def test_pickled_weights_are_refused(random_moonshine: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    shutil.copytree(random_moonshine, tmp_path, dirs_exist_ok=True)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="pickle file, which could run any code"):
        backend(tmp_path, MOONSHINE)


@pytest.mark.filterwarnings("ignore")
def test_missing_weights_are_an_error_and_never_random(random_moonshine: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(random_moonshine, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if name.endswith("fc1.weight"))
    save_file(
        {name: t for name, t in weights.items() if name != gone}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(WeightsError, match=f"lacks 1 of the weights it needs .{gone}"):
        backend(tmp_path, MOONSHINE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("device", "bytes_each"), [("cpu", 4), ("cuda", 2), ("mps", 2)])
def test_its_size_is_that_of_the_type_it_computes_in_whatever_lies_on_the_disk(
    random_moonshine: Path, tmp_path: Path, device: str, bytes_each: int
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(random_moonshine, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    halves = {name: tensor.to(torch.float16) for name, tensor in weights.items()}
    save_file(halves, tmp_path / "model.safetensors", {"format": "pt"})
    numbers = sum(tensor.numel() for tensor in weights.values())
    request = Load(MOONSHINE, {MOONSHINE.key: tmp_path}, device, 1)
    found = estimate(request)
    assert numbers * bytes_each <= found.weights <= 1.01 * numbers * bytes_each, "and a few buffers"
    assert found.cache and found.activations


@pytest.mark.filterwarnings("ignore")
def test_it_computes_with_the_threads_it_was_given(random_moonshine: Path) -> None:
    import torch

    before = torch.get_num_threads()
    model = load(Load(MOONSHINE, {MOONSHINE.key: random_moonshine}, "cpu", before + 1))
    try:
        list(model.transcribe([Clip(noise(1.0))], Hearing()))  # type: ignore[attr-defined]
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_loading_stops_when_asked(random_moonshine: Path) -> None:
    request = Load(MOONSHINE, {MOONSHINE.key: random_moonshine}, "cpu", 1)
    with pytest.raises(Cancelled, match=r"Loading Moonshine .* was stopped"):
        SpeechSeq2SeqBackend(dataclasses.replace(request, cancelled=lambda: True))


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("kind", ["random_whisper", "random_moonshine"])
def test_it_stops_at_its_next_step(kind: str, beams: int, request: pytest.FixtureRequest) -> None:
    model = backend(request.getfixturevalue(kind), TURBO if kind == "random_whisper" else MOONSHINE)
    asked, steps = [], []
    model._model.get_decoder().register_forward_pre_hook(lambda *_: steps.append(1))

    def left() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        list(model.transcribe([Clip(noise(1.0)), Clip(noise(2.0))], Hearing(language="en", beams=beams, left=left)))
    assert len(asked) == 3 and len(steps) <= 4
