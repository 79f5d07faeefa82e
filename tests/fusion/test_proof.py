"""Proof that the modalities fuse: the sentence needs both, and only the model that has both says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdemo.fusion.model import FusionModel
from mmdemo.fusion.sounds import RATE
from mmdemo.fusion.why import why
from mmdemo.media.audio import stream_audio
from mmdemo.media.frames import frames as frames_of
from mmdemo.settings import Settings
from tests.fusion import synthetic
from tests.fusion.synthetic import TOKENIZER, Made, Scene, heard, learn, model, right, seen

BOTH = ("vision", "audio")
STEPS = {"concat": 360, "attention": 420}


@pytest.fixture(scope="module")
def sets() -> tuple[Made, Made]:
    return Made.of(30, seed=0), Made.of(3, seed=1)


@pytest.fixture(scope="module", params=STEPS)
def fused(request, sets) -> FusionModel:
    chain = model(request.param)
    learn(chain, sets[0], BOTH, STEPS[request.param])
    return chain


def test_with_both_it_says_what_is_seen_and_what_is_heard(fused, sets) -> None:
    assert right(fused, sets[1], BOTH) >= 0.95


def test_with_one_of_them_alone_nobody_can(fused, sets) -> None:
    """Neither the model that has both when one is taken away, nor one that learned with one alone."""
    train, test = sets
    for modality in BOTH:
        assert right(fused, test, [modality]) < 0.6
        alone = model(fused.config.fusion)
        losses = learn(alone, train, [modality], 120)
        assert losses[-1] < losses[0] / 4, "it does learn what it can"
        assert right(alone, test, [modality]) < 0.6


def test_a_real_clip_is_described_by_what_is_in_it(fused, tmp_path) -> None:
    for number, scene in enumerate((Scene("red", "left", "rises"), Scene("blue", "down", "pulses"))):
        video = clip(scene, tmp_path / f"{number}.mp4")
        pictures = [small(frame.full()) for frame in frames_of(video, synthetic.FRAMES)]
        samples = np.concatenate([block.samples for block in stream_audio(video, Settings.load())])
        given = {
            "pixel_values": seen(np.stack(pictures[: synthetic.FRAMES]))[None],
            "audio_values": heard(samples)[None],
        }
        said = fused.generate(**given, max_new_tokens=20, do_sample=False)
        assert TOKENIZER.decode(said[0], skip_special_tokens=True) == scene.caption


def test_the_sense_that_decides_a_word_is_the_one_that_is_blamed_for_it(fused, sets) -> None:
    """On the mean of some scenes: without a sense the model guesses, and now and then a guess is right."""
    lost: dict[tuple[str, str], list[float]] = {}
    shares: dict[str, list[float]] = {"vision": [], "audio": []}
    for row in range(0, 36, 5):
        given, scene = sets[1].given([row], BOTH), sets[1].scenes[row]
        features = {
            "vision": fused.encoded("vision", given["pixel_values"]),
            "audio": fused.encoded("audio", given["audio_values"]),
        }
        tokens = TOKENIZER(scene.caption)["input_ids"]
        words = [TOKENIZER.decode([token]).strip() for token in tokens]
        found = why(fused, torch.tensor(tokens), features)
        assert found.looked["vision"].shape == (len(tokens), 4, 4) and found.looked["audio"].shape == (len(tokens), 8)
        for sense, word in (("vision", scene.colour), ("vision", scene.move), ("audio", scene.tone)):
            place = words.index(word)
            shares[sense].append(found.share(sense)[place])
            for taken in BOTH:
                lost.setdefault((sense, taken), []).append(found.without[taken][place])
    mean = {key: float(np.mean(values)) for key, values in lost.items()}
    assert mean["vision", "vision"] > mean["vision", "audio"] + 0.5, mean
    assert mean["audio", "audio"] > mean["audio", "vision"] + 0.5, mean
    seen_share, heard_share = np.mean(shares["vision"]), np.mean(shares["audio"])
    assert seen_share > 0.5 and heard_share > 2 * (1 - seen_share), (seen_share, heard_share)


def small(pixels) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels[..., ::-1]).resize((synthetic.SIZE, synthetic.SIZE)))


def clip(scene: Scene, path: Path) -> Path:
    """One second of video, H.264 and AAC."""
    from moviepy import AudioArrayClip, ImageSequenceClip

    generator = np.random.default_rng(5)
    pictures = synthetic.frames(scene, generator, size=128)
    sound = np.repeat(synthetic.sound(scene, generator)[:, None], 2, axis=1)
    video = ImageSequenceClip(list(pictures), fps=synthetic.FRAMES).with_audio(AudioArrayClip(sound, fps=RATE))
    video.write_videofile(str(path), codec="libx264", audio_codec="aac", logger=None)
    video.close()
    return path
