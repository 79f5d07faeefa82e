"""A video with its captions drawn in."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import ImageFont

from mmdemo.errors import Cancelled, InputError, UnreadableMedia
from mmdemo.media import lettering
from mmdemo.media.audio import header_seconds, write_wav
from mmdemo.media.lettering import font_for, overlay
from mmdemo.media.render import burn_in
from mmdemo.media.video import probe
from mmdemo.results import Segment
from mmdemo.settings import Settings
from tests.media.clips import tone, turned, video

SETTINGS = Settings()


def foot(path: Path, second: float) -> float:
    """How bright the brightest pixel is in the lower half of the frame at `second`, 0 to 255."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= second:
                grey = frame.to_ndarray(format="gray")
                return float(grey[grey.shape[0] // 2 :].max())
    raise AssertionError(f"no frame at {second}")


def test_captions_are_drawn_while_they_last_and_the_sound_is_kept(tmp_path: Path) -> None:
    clip = video(tmp_path / "in.mp4", [("blue", 4.0)], sound=4.0, size=(320, 180))
    out = tmp_path / "out.mp4"
    burn_in(clip, [Segment(1.0, 2.0, "Hello there"), Segment(1.5, 3.0, "A blue wall", "scene")], out)
    info = probe(out, SETTINGS)
    assert (info.width, info.height, info.has_sound) == (320, 180, True)
    assert info.seconds == pytest.approx(4.0, abs=0.1)
    assert header_seconds(out, Settings()) == pytest.approx(4.0, abs=0.1)
    assert [foot(out, second) > 200 for second in (0.5, 1.2, 2.5, 3.5)] == [False, True, True, False]
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert container.streams.video[0].codec_context.name == "h264"


def test_silent_odd_sized_and_turned_videos_work(tmp_path: Path) -> None:
    odd = tmp_path / "odd.avi"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 161, 97, "yuv444p"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((97, 161, 3), 60, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    burn_in(odd, [Segment(0.0, 1.0, "Odd")], tmp_path / "even.mp4")
    info = probe(tmp_path / "even.mp4", SETTINGS)
    assert (info.width, info.height, info.has_sound) == (160, 96, False)
    flat = video(tmp_path / "flat.mp4", [("blue", 1.0)], top="red")
    phone = turned(flat, tmp_path / "phone.mp4", 90)
    burn_in(phone, [Segment(0.0, 1.0, "Up")], tmp_path / "up.mp4")
    info = probe(tmp_path / "up.mp4", SETTINGS)
    assert (info.width, info.height) == (96, 160)
    with av.open(str(tmp_path / "up.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    left, right = picture[20, 20].astype(int), picture[20, 76].astype(int)  # the top went to the left
    assert left[0] > left[2] + 80 and right[2] > right[0] + 80
    assert foot(tmp_path / "up.mp4", 0.5) > 200


def test_one_frame_is_enough(tmp_path: Path) -> None:
    clip = video(tmp_path / "one.mp4", [("green", 0.0)], size=(320, 180))
    burn_in(clip, [Segment(0.0, 1.0, "One")], tmp_path / "out.mp4")
    assert foot(tmp_path / "out.mp4", 0.0) > 200


def test_what_cannot_be_captioned_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0))
    with pytest.raises(UnreadableMedia, match=r"a\.wav has no picture to draw captions on: download them as SRT"):
        burn_in(tmp_path / "a.wav", [], tmp_path / "out.mp4")
    clip = video(tmp_path / "a.mp4", [("red", 1.0)])
    with pytest.raises(InputError, match=r"out\.avi must end in \.mp4"):
        burn_in(clip, [], tmp_path / "out.avi")
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        burn_in(clip, [], tmp_path / "out.mp4", cancelled=cancelled)
    assert not (tmp_path / "out.mp4").exists()


def test_letters_are_drawn_on_a_machine_without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "FONTS", ())
    lettering._best.cache_clear()
    try:
        assert font_for("Hello 你好", 20).getname() == ImageFont.load_default(20).getname()
        band = overlay("Hello 你好", (320, 180))
        assert np.asarray(band.convert("L")).max() > 200
    finally:
        lettering._best.cache_clear()


def test_a_long_caption_stays_within_the_frame() -> None:
    for text in ("word " * 60, "x" * 300, "你好" * 80):
        for size in ((320, 180), (90, 160), (64, 48)):
            band = overlay(text, size)
            assert band.width <= size[0]


def test_a_font_with_the_letters_is_chosen() -> None:
    with_latin = font_for("Grüße", 20)
    assert lettering._lacking(with_latin, "Grüße") == 0 or with_latin.getname() == ImageFont.load_default(20).getname()
    names = [name for name in lettering.FONTS if _has(name, "你")]
    if names:
        assert lettering._lacking(font_for("Hi 你", 20), "Hi你") == 0


def _has(name: str, letter: str) -> bool:
    try:
        return lettering._lacking(ImageFont.truetype(name, 20), letter) == 0
    except OSError:
        return False
