"""A picture cut into front and background, and looks at moments of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdemo.errors import UnreadableMedia
from mmdemo.media.audio import write_wav
from mmdemo.media.moments import evenly, pictures_at, sound_of
from mmdemo.media.segments import segments
from mmdemo.settings import Settings
from tests.media.clips import COLOURS, ffmpeg, tone, video


def test_a_disc_stands_before_the_meadow() -> None:
    rows, columns = np.mgrid[:120, :160]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 30**2
    noise = np.random.default_rng(0).integers(0, 20, (120, 160, 3))
    picture = (np.where(disc[..., None], (200, 40, 30), (30, 140, 50)) + noise).astype(np.uint8)
    found = segments(picture)
    assert found.shape == (120, 160) and found.dtype == np.int32
    assert (found[disc] == 1).mean() > 0.95 and (found[~disc] == 0).mean() > 0.95
    assert np.array_equal(found, segments(picture)), "the same picture is cut the same way"


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (40, 40)])
def test_an_even_or_tiny_picture_is_all_background(size: tuple[int, int]) -> None:
    assert not segments(np.full((*size, 3), 120, np.uint8)).any()
    if min(size) < 40:
        noise = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
        assert not segments(noise).any(), "too small to be cut, whatever it shows"


def test_frames_are_those_that_are_shown_at_their_times(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", sound=4.0)
    times = evenly(0.0, 4.0, 4)
    assert times == (0.5, 1.5, 2.5, 3.5)
    found = pictures_at(path, [*times, 99.0], Settings())
    assert [image.size for image in found] == [(160, 96)] * 5
    centres = [image.getpixel((80, 48)) for image in found]
    assert max(abs(a - b) for a, b in zip(centres[0], COLOURS["red"], strict=True)) < 45
    assert centres[-1] == centres[-2], "past the end the last frame stays"


def test_a_picture_that_begins_later_keeps_its_times(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 2.0), ("blue", 2.0)])
    write_wav(tmp_path / "a.wav", tone(6.0))
    late = tmp_path / "late.mkv"
    ffmpeg("-i", tmp_path / "a.wav", "-itsoffset", "1.5", "-i", clip, "-map", "0:a", "-map", "1:v", "-c:v", "copy",
           "-c:a", "flac", late)  # fmt: skip
    colours = [image.getpixel((80, 48)) for image in pictures_at(late, [2.5, 4.5], Settings())]
    for found, name in zip(colours, ("red", "blue"), strict=True):
        assert max(abs(a - b) for a, b in zip(found, COLOURS[name], strict=True)) < 45, (found, name)


def test_a_stretch_of_the_sound_is_as_long_as_it_is_wanted(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", sound=4.0)
    assert len(sound_of(path, Settings(), 1.0, 2.5)) == 24_000
    assert 0 < len(sound_of(path, Settings(), 3.0, 9.0)) <= 17_000
    assert len(sound_of(path, Settings(), 8.0, 9.0)) == 0


def test_what_is_no_video_has_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"nothing")
    with pytest.raises(UnreadableMedia, match=r"a\.mp4"):
        pictures_at(path, [0.0], Settings())
