"""Every video a person may drop: shots with a keyframe each, or one sentence why not."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo.errors import Cancelled, InputError, TooLarge, UnreadableMedia
from mmdemo.media.audio import write_wav
from mmdemo.media.frames import frames
from mmdemo.media.video import Shot, probe, shots
from mmdemo.settings import Settings
from tests.media.clips import COLOURS, ffmpeg, tone, turned, video

SETTINGS = Settings()


def is_colour(image: Image.Image, colour: str, at: tuple[float, float] = (0.5, 0.5)) -> bool:
    pixel = image.getpixel((int(image.width * at[0]), int(image.height * at[1])))
    return max(abs(a - b) for a, b in zip(pixel, COLOURS[colour], strict=True)) < 45


def spans(found: list[Shot]) -> list[tuple[float, float]]:
    return [(round(shot.start, 2), round(shot.end, 2)) for shot in found]


def test_a_probe_says_what_is_there(tmp_path: Path) -> None:
    info = probe(video(tmp_path / "a.mp4", sound=4.0), SETTINGS)
    assert info.seconds == pytest.approx(4.0, abs=0.1)
    assert (info.width, info.height, info.frames_per_second) == (160, 96, 25.0)
    assert info.has_picture and info.has_sound
    assert not probe(video(tmp_path / "b.mp4"), SETTINGS).has_sound


def test_cuts_are_found_and_each_shot_shows_its_own_picture(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 2.0), ("blue", 3.0), ("green", 1.0)])
    found = list(shots(clip, SETTINGS))
    assert spans(found) == [(0.0, 2.0), (2.0, 5.0), (5.0, 6.0)]
    assert all(is_colour(shot.keyframe, c) for shot, c in zip(found, ("red", "blue", "green"), strict=True))
    assert {(shot.keyframe.mode, shot.keyframe.size) for shot in found} == {("RGB", (160, 96))}


def test_the_threshold_decides_what_a_cut_is(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 1.5), ("grey", 1.5)])
    assert len(list(shots(clip, SETTINGS, sensitivity=20))) == 2
    assert len(list(shots(clip, SETTINGS, sensitivity=200))) == 1


def test_a_long_shot_comes_in_pieces_without_a_crumb_at_the_end(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 10.4)], fps=10)
    assert spans(list(shots(clip, SETTINGS, longest=5.0))) == [(0.0, 5.0), (5.0, 10.4)]
    assert spans(list(shots(clip, SETTINGS, longest=3.0))) == [(0.0, 3.0), (3.0, 6.0), (6.0, 9.0), (9.0, 10.4)]


def test_one_frame_is_one_shot(tmp_path: Path) -> None:
    (only,) = shots(video(tmp_path / "a.mp4", [("green", 0.0)]), SETTINGS)
    assert (only.start, round(only.end, 2)) == (0.0, 0.04)
    assert is_colour(only.keyframe, "green")


def test_a_variable_frame_rate_keeps_real_times(tmp_path: Path) -> None:
    times = [0.0, 0.5, 3.0, 3.1, 3.2, 6.0, 6.04, 6.08, 9.0]
    clip = video(tmp_path / "a.mp4", [("red", 5 / 25), ("blue", 4 / 25)], times=times)
    starts = [shot.start for shot in shots(clip, SETTINGS)]
    assert starts == pytest.approx([0.0, 6.0], abs=0.01)


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_a_phone_video_is_upright(tmp_path: Path, degrees: int) -> None:
    flat = video(tmp_path / "flat.mp4", [("blue", 1.0)], top="red")
    clip = turned(flat, tmp_path / "phone.mp4", degrees)
    info = probe(clip, SETTINGS)
    (shot,) = shots(clip, SETTINGS)
    expected = (96, 160) if degrees != 180 else (160, 96)
    assert (info.width, info.height) == shot.keyframe.size == expected
    # FFmpeg counts the display rotation anticlockwise: at 90 degrees the top goes to the left.
    where = {90: (0.2, 0.5), -90: (0.8, 0.5), 180: (0.5, 0.8)}[degrees]
    assert is_colour(shot.keyframe, "red", where)
    assert is_colour(shot.keyframe, "blue", (1 - where[0], 1 - where[1]))


def test_a_black_beginning_is_not_the_keyframe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "black", (0, 0, 0))
    clip = video(tmp_path / "a.mp4", [("black", 2.0), ("red", 2.2)])
    (shot,) = shots(clip, SETTINGS, sensitivity=255)
    assert is_colour(shot.keyframe, "red")


def test_a_recording_has_no_picture(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0))
    info = probe(tmp_path / "a.wav", SETTINGS)
    assert (info.has_picture, info.has_sound, info.seconds) == (False, True, 1.0)
    with pytest.raises(UnreadableMedia, match=r"a\.wav has no picture, only sound: transcribe it instead\."):
        list(shots(tmp_path / "a.wav", SETTINGS))


def test_a_cover_is_no_picture(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "cover.png")
    song = tmp_path / "song.m4a"
    ffmpeg("-i", tmp_path / "a.wav", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c:v", "png",
           "-disposition:v:0", "attached_pic", song)  # fmt: skip
    assert (probe(song, SETTINGS).has_picture, probe(song, SETTINGS).has_sound) == (False, True)


def test_a_broken_tail_gives_what_could_be_read(tmp_path: Path) -> None:
    whole = video(
        tmp_path / "whole.mkv", [("red", 2.0), ("blue", 2.0), ("green", 2.0)], quality={"g": "10", "crf": "5"}
    )
    content = whole.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(content[: len(content) * 2 // 3])
    found = list(shots(broken, SETTINGS))
    assert spans(found)[0] == (0.0, 2.0)
    assert 2.0 < found[-1].end < 5.9
    front = tmp_path / "front.mp4"
    ffmpeg("-i", whole, "-c", "copy", "-movflags", "+faststart", front)
    content = front.read_bytes()
    front.write_bytes(content[: len(content) * 2 // 3] + b"\0" * 100)
    found = list(shots(front, SETTINGS))
    assert spans(found)[0] == (0.0, 2.0)
    assert 2.0 < found[-1].end < 5.9


def test_every_container_works_under_any_name(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.mov", "a.ts"):
        clip = video(tmp_path / name)
        disguised = clip.rename(tmp_path / f"{clip.suffix[1:]}.jpg")
        assert spans(list(shots(disguised, SETTINGS))) == [(0.0, 2.0), (2.0, 4.0)], name


def test_an_animation_is_a_video(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=1000)
    assert spans(list(shots(tmp_path / "a.gif", SETTINGS)))[0] == (0.0, 1.0)


BAD = {
    "notes.mp4": (b"Dear diary, today " * 50, "notes.mp4 holds text, not a video: choose a video and try again."),
    "empty.mp4": (b"", "empty.mp4 is empty (0 bytes)"),
    "photo.mp4": (b"\x89PNG\r\n\x1a\n" + bytes(50), "photo.mp4 is a picture, not a video: choose a video"),
    "list.mp4": (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n", "list.mp4 holds text"),
    "concat.txt": (b"ffconcat version 1.0\nfile other.mp4\n", "concat.txt holds text, not a video"),
    "half.mp4": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(200), "half.mp4 is a video that is broken: save or"),
    "noise.mp4": (random.Random(4).randbytes(5000), "noise.mp4 is not a video that can be read: save it again"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_video_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BAD[name]
    (tmp_path / name).write_bytes(content)
    for read in (probe, lambda path, settings: list(shots(path, settings))):
        with pytest.raises(UnreadableMedia) as refused:
            read(tmp_path / name, SETTINGS)
        assert str(refused.value).startswith(sentence)
        assert str(refused.value).count(".") == 1 + name.count(".")


def test_limits_are_the_settings_ones(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 3.0)], size=(1600, 960), fps=5)
    with pytest.raises(TooLarge, match=r"a\.mp4 is longer than the limit .* raise MMDEMO_MAX_SECONDS"):
        probe(clip, Settings(max_seconds=2))
    with pytest.raises(TooLarge, match="frames of 1,600 × 960 pixels and the limit is 1 million"):
        probe(clip, Settings(max_megapixels=1))


def test_a_header_that_says_too_little_does_not_get_past_the_limit(tmp_path: Path) -> None:
    content = bytearray(video(tmp_path / "a.mkv", [("red", 4.0), ("blue", 2.0)]).read_bytes())
    at = content.index(b"\x44\x89\x88") + 3  # Matroska's Duration: a double, in milliseconds
    assert struct.unpack(">d", content[at : at + 8]) == (6000.0,)
    content[at : at + 8] = struct.pack(">d", 1000.0)
    (tmp_path / "a.mkv").write_bytes(bytes(content))
    assert probe(tmp_path / "a.mkv", Settings(max_seconds=5)).seconds == 1.0
    read = shots(tmp_path / "a.mkv", Settings(max_seconds=5))
    assert next(read).end == 4.0
    with pytest.raises(TooLarge, match=r"a\.mkv is longer than the limit"):
        next(read)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "ffconcat version 1.0\nfile other.ts\n"),
    ],
)
def test_frames_come_from_the_file_itself_and_from_no_other(tmp_path: Path, name: str, text: str) -> None:
    other = video(tmp_path / "other.ts")
    (tmp_path / name).write_text(text)
    assert next(frames(other, 25.0)).time == 0.0
    assert list(frames(tmp_path / name, 25.0)) == []


def test_stop_stops_between_frames(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4")
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(Cancelled):
        list(shots(clip, SETTINGS, cancelled=cancelled))
    assert len(asked) == 6


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    peaks = []
    for seconds in (10, 80):
        clip = video(tmp_path / f"{seconds}.mp4", [("red", 2.0), ("blue", 2.0)] * (seconds // 4), fps=10)
        tracemalloc.start()
        assert sum(1 for _ in shots(clip, SETTINGS)) >= seconds // 4
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.1


def test_frames_between_are_left_out_at_high_rates(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 2.0)], fps=60)
    looked = list(frames(clip, 60.0))
    assert 45 <= len(looked) <= 62
    assert all(max(frame.small.shape) <= 192 for frame in looked)
    assert looked[-1].end == pytest.approx(2.0, abs=0.02)


def test_broken_bytes_raise_only_what_a_user_can_read(tmp_path: Path) -> None:
    random_ = random.Random(1)
    whole = video(tmp_path / "a.mp4", [("red", 0.6)], sound=0.6).read_bytes()
    path = tmp_path / "broken.mp4"
    for _ in range(40):
        body = bytearray(whole)
        for _ in range(random_.randrange(1, 12)):
            body[random_.randrange(len(body))] = random_.randrange(256)
        path.write_bytes(bytes(body[: random_.randrange(len(body) // 2, len(body) + 1)]))
        try:
            assert all(np.asarray(shot.keyframe).ndim == 3 for shot in shots(path, SETTINGS))
        except InputError as error:
            assert str(error).startswith("broken.mp4 ")


@pytest.mark.data
def test_a_real_film_has_its_four_scenes(data: Path) -> None:
    found = list(shots(data / "video" / "big_buck_bunny_480p_30s.mp4", SETTINGS))
    assert spans(found) == [(0.0, 11.88), (11.88, 15.75), (15.75, 23.04), (23.04, 30.0)]
