"""Captions of videos of many shots by a chain that takes frames and sound together: learned here, run for real."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmdemo.errors import Cancelled
from mmdemo.fusion import reading
from mmdemo.fusion.checkpoint import keep
from mmdemo.fusion.config import FusionConfig, FusionPatchesConfig
from mmdemo.fusion.processing import train_tokenizer
from mmdemo.results import Explanation, Track
from mmdemo.runtime.base import RATE
from mmdemo.runtime.manager import Manager
from mmdemo.settings import Settings
from mmdemo.tasks import why
from mmdemo.tasks.caption import Options, run
from mmdemo.ui import why_cards
from tests.fusion.chains import DECODERS, model_of
from tests.media.clips import ffmpeg, picture, tone, video

PITCHES = {"high": 1800.0, "low": 300.0}
SHOTS = [("red", "high"), ("green", "low"), ("blue", "high"), ("red", "low"), ("green", "high"), ("blue", "low")]
pytestmark = pytest.mark.filterwarnings("ignore")  # torch and transformers announce what they will drop


def said(colour: str, pitch: str) -> str:
    return f"A {colour} picture and a {pitch} tone."


TOKENIZER = train_tokenizer([said(*shot) for shot in SHOTS] * 3, 300)


def scene(colour: str, pitch: str, config: FusionConfig, rng: Any) -> tuple[Any, Any]:
    """What the chain reads of a shot, as the task gives it."""
    pixels = picture(colour).astype(float) * rng.uniform(0.85, 1.1) + rng.normal(0, 4, (96, 160, 3))
    frame = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    sound = tone(2.0, pitch=PITCHES[pitch] * rng.uniform(0.97, 1.03)) * rng.uniform(0.5, 1)
    return reading.video([frame] * 2, config), reading.sound(sound.astype(np.float32), config)


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A chain of fresh patches for two frames and for sound, learned in seconds."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    text = DECODERS["fusion_lstm"].to_dict() | {
        "vocab_size": len(TOKENIZER), "hidden_size": 64, "bos_token_id": TOKENIZER.bos_token_id,
        "eos_token_id": TOKENIZER.eos_token_id, "pad_token_id": TOKENIZER.pad_token_id,
    }  # fmt: skip
    config = FusionConfig(
        vision_config=FusionPatchesConfig(height=32, width=32, hidden_size=32).to_dict(),
        audio_config=FusionPatchesConfig(
            channels=1, height=20, width=100, patch_height=20, patch_width=20, hidden_size=32
        ).to_dict(),
        text_config=text, frames=2, fusion="concat", feature_dropout=0.0, audio_pool=1, modality_dropout=0.25,
    )  # fmt: skip
    model = model_of(config).train()
    frames, sounds = zip(*[scene(*row, config, rng) for row in SHOTS * 16], strict=True)
    pixels, heard = torch.tensor(np.stack(frames)), torch.tensor(np.stack(sounds))
    ids = TOKENIZER([said(*row) for row in SHOTS * 16], return_tensors="pt", padding=True)["input_ids"]
    begin, end = (torch.full((len(ids), 1), token) for token in (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id))
    given, wanted = torch.cat([begin, ids], 1), torch.cat([ids, end], 1)
    learning, loss = torch.optim.AdamW(model.parameters(), 5e-3), torch.tensor(9.0)
    for _ in range(350):
        rows = torch.tensor(rng.integers(0, len(ids), 12))
        loss = model(given[rows], pixels[rows], audio_values=heard[rows], labels=wanted[rows]).loss
        learning.zero_grad()
        loss.backward()
        learning.step()
    assert float(loss) < 0.3, "it has learned its six sentences"
    folder = tmp_path_factory.mktemp("watcher")
    keep(model.eval(), folder)
    TOKENIZER.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = str(tmp_path_factory.mktemp("home"))
    made = Manager(Settings(home=home, device="cpu", threads=1, offline=True))
    yield made
    made.close()


def clip(folder: Path, shots: Sequence[tuple[str, str]], seconds: float = 2.0) -> Path:
    """A video of shots with a colour and a tone each."""
    silent = video(folder / "silent.mp4", [(colour, seconds) for colour, _ in shots], fps=5)
    sound = np.concatenate([tone(seconds, RATE, PITCHES[pitch]) for _, pitch in shots])
    soundfile.write(folder / "sound.wav", sound, RATE)
    path = folder / "clip.mp4"
    ffmpeg("-i", silent, "-i", folder / "sound.wav", "-c:v", "copy", "-c:a", "aac", path)
    return path


def tracks(manager: Manager, path: Path, watcher: str, cancelled: Any = lambda: False) -> list[Track]:
    options = Options(model=watcher, speech=False)
    with manager.lease() as models:
        return [one for one in run(models, [path], options, cancelled) if isinstance(one, Track)]


def test_each_shot_is_captioned_by_what_is_seen_and_heard_in_it(manager: Manager, watcher: str, tmp_path: Path) -> None:
    shots = [("red", "low"), ("green", "high"), ("blue", "low")]
    last = tracks(manager, clip(tmp_path, shots), watcher)[-1]
    assert last.done and not last.error
    assert [one.text for one in last.segments] == [said(*shot) for shot in shots]
    assert [one.kind for one in last.segments] == ["scene"] * 3
    for place, one in enumerate(last.segments):
        assert (one.start, one.end) == pytest.approx((2.0 * place, 2.0 * place + 2), abs=0.15)


def test_a_long_video_takes_no_more_memory_than_a_short_one(manager: Manager, watcher: str, tmp_path: Path) -> None:
    peaks, found = [], []
    for name, times in (("short", 8), ("long", 16)):
        (tmp_path / name).mkdir()
        path = clip(tmp_path / name, SHOTS * times)
        tracemalloc.start()
        found.append(tracks(manager, path, watcher))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    long = found[1]
    assert [one.text for one in long[-1].segments] == [said(*shot) for shot in SHOTS * 16]
    assert long[-1].segments[-1].end == pytest.approx(2.0 * 96, abs=0.2)
    shares = [one.progress for one in long]
    assert shares == sorted(shares) and len(set(shares)) >= 8, "it grows as it is read"
    # 96 seconds more: their sound would take 6 MB, their keyframes 5
    assert peaks[1] < peaks[0] + 2_000_000, peaks


def test_it_is_stopped_between_shots(manager: Manager, watcher: str, tmp_path: Path) -> None:
    path, seen, stopped = clip(tmp_path, SHOTS * 4), [], 0.0
    with manager.lease() as models, pytest.raises(Cancelled):
        for one in run(models, [path], Options(model=watcher, speech=False), lambda: bool(seen)):
            if isinstance(one, Track) and one.segments:
                seen.append(one)
                stopped = time.monotonic()
    assert len(seen) == 1 and len(seen[0].segments) < 24 and time.monotonic() - stopped < 2


@pytest.mark.parametrize("way", ["int8", "bf16"])
def test_in_fewer_bits_it_says_the_same(manager: Manager, watcher: str, tmp_path: Path, way: str) -> None:
    shots = [("green", "low"), ("red", "high")]
    options = Options(model=watcher, speech=False, quantization=way)
    with manager.lease() as models:
        *_, last = run(models, [clip(tmp_path, shots)], options, lambda: False)
    assert isinstance(last, Track) and [one.text for one in last.segments] == [said(*shot) for shot in shots]


def test_a_scene_is_explained_by_what_was_seen_and_what_was_heard(
    manager: Manager, watcher: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, [("red", "low"), ("blue", "high")])
    options = why.Options(model=watcher, answer=said("blue", "high"), start=2.0, end=4.0)
    with manager.lease() as models:
        (found,) = (one for one in why.run(models, [path], options, lambda: False) if isinstance(one, Explanation))
    word = {one.text: one for one in found.reasons}
    for name, needed, other in (("blue", "vision", "audio"), ("high", "audio", "vision")):
        assert set(word[name].without) == set(word[name].looked) == {"vision", "audio"}
        assert word[name].without[needed] < word[name].without[other] <= 1, "what it needs is missed"
        assert word[name].probability > 0.9 > word[name].without[needed]
    assert found.sights.times == (2.5, 3.5) and found.sights.start == 2.0 and found.sights.mel is not None
    html = why_cards.html(found, "", "en")
    assert "without sound" in html and "without the picture" in html
    with manager.lease() as models:
        fewer = replace(options, quantization="int8")
        (packed,) = (one for one in why.run(models, [path], fewer, lambda: False) if isinstance(one, Explanation))
    for one, other in zip(found.reasons, packed.reasons, strict=True):
        assert one.text == other.text and one.probability == pytest.approx(other.probability, abs=0.05)
