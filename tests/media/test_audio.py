"""Every recording a person may drop: 16 kHz mono in blocks, or one sentence why not."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdemo.errors import InputError, TooLarge, UnreadableMedia
from mmdemo.media.audio import RATE, Audio, header_seconds, stream_audio, write_wav
from mmdemo.settings import Settings
from tests.media.clips import ffmpeg, tone, video

SETTINGS = Settings()


def heard(path: Path) -> Audio:
    return np.concatenate([block.samples for block in stream_audio(path, SETTINGS)])


def pitch(samples: Audio) -> float:
    """The strongest frequency, in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples))


def write(path: Path, seconds: float, rate: int, channels: int, kind: str, subtype: str | None) -> Path:
    """A tone on every channel; written by the second, as libsndfile's Vorbis encoder fails on long writes."""
    samples = np.repeat(tone(seconds, rate)[:, None], channels, axis=1)
    with soundfile.SoundFile(path, "w", samplerate=rate, channels=channels, format=kind, subtype=subtype) as file:
        for start in range(0, len(samples), rate):
            file.write(samples[start : start + rate])
    return path


KINDS = [
    (8_000, 1, "WAV", "PCM_16"),
    (8_000, 1, "WAV", "ULAW"),
    (16_000, 1, "WAV", "PCM_U8"),
    (44_100, 2, "WAV", "FLOAT"),
    (48_000, 2, "WAV", "DOUBLE"),
    (96_000, 6, "WAV", "PCM_24"),
    (96_000, 6, "WAVEX", "PCM_24"),
    (48_000, 12, "WAV", "FLOAT"),
    (44_100, 2, "FLAC", "PCM_24"),
    (44_100, 2, "OGG", "VORBIS"),
    (48_000, 1, "OGG", "OPUS"),
    (44_100, 2, "MP3", None),
    (22_050, 1, "AIFF", "PCM_16"),
]


@pytest.mark.parametrize(("rate", "channels", "kind", "subtype"), KINDS)
def test_every_kind_becomes_sixteen_kilohertz_mono(
    tmp_path: Path, rate: int, channels: int, kind: str, subtype: str | None
) -> None:
    path = write(tmp_path / "sound.jpg", 3.0, rate, channels, kind, subtype)  # the name says nothing
    samples = heard(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) == pytest.approx(3 * RATE, abs=0.06 * RATE)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert np.abs(samples[RATE : 2 * RATE]).max() == pytest.approx(0.5, abs=0.03)
    assert header_seconds(path, SETTINGS) == pytest.approx(3.0, abs=0.06)


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.wma", "a.amr", "a.aac", "a.ac3", "a.mkv"])
def test_what_libsndfile_does_not_know_is_read_too(tmp_path: Path, name: str) -> None:
    write_wav(tmp_path / "a.wav", tone(3.0))
    ffmpeg("-i", tmp_path / "a.wav", *(["-ar", "8000"] if name == "a.amr" else []), tmp_path / name)
    samples = heard(tmp_path / name)
    assert len(samples) == pytest.approx(3 * RATE, abs=0.15 * RATE)
    assert pitch(samples) == pytest.approx(440, abs=2)


def test_a_file_is_given_in_blocks_that_join_without_a_seam(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(65.0))
    blocks = list(stream_audio(tmp_path / "a.wav", SETTINGS))
    assert [(block.start, len(block.samples)) for block in blocks] == [(0, 480_000), (30, 480_000), (60, 80_000)]
    joined = np.concatenate([block.samples for block in blocks])
    assert np.abs(joined - tone(65.0)).max() < 1e-4
    small = list(stream_audio(tmp_path / "a.wav", SETTINGS, block_seconds=0.7))
    assert len(small) == 93
    assert small[1].start == pytest.approx(0.7)
    assert np.array_equal(np.concatenate([block.samples for block in small]), joined)


def test_resampling_does_not_drift_between_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 61.0, 44_100, 2, "WAV", "PCM_16")
    samples = heard(path)
    assert len(samples) == 61 * RATE
    assert np.abs(samples[1000:-1000] - tone(61.0)[1000:-1000]).max() < 0.01


def test_the_sound_of_a_video(tmp_path: Path) -> None:
    samples = heard(video(tmp_path / "a.mp4", sound=4.0))
    assert len(samples) == pytest.approx(4 * RATE, abs=0.1 * RATE)
    assert pitch(samples) == pytest.approx(440, abs=1)


def test_sound_that_begins_later_keeps_its_times(tmp_path: Path) -> None:
    clip = video(tmp_path / "a.mp4", [("red", 4.0)])
    write_wav(tmp_path / "a.wav", tone(2.0))
    late = tmp_path / "late.mkv"
    ffmpeg("-i", clip, "-itsoffset", "1.5", "-i", tmp_path / "a.wav", "-map", "0:v", "-map", "1:a", "-c:v", "copy",
           "-c:a", "flac", late)  # fmt: skip
    samples = heard(late)
    assert len(samples) == pytest.approx(3.5 * RATE, abs=0.05 * RATE)
    assert np.abs(samples[: round(1.45 * RATE)]).max() == 0
    assert np.abs(samples[round(1.55 * RATE) :]).max() > 0.4


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"a\.mp4 has no sound: choose a recording, or a video with sound\."):
        heard(video(tmp_path / "a.mp4"))


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)])
def test_a_broken_tail_gives_what_could_be_read(tmp_path: Path, kind: str, subtype: str | None) -> None:
    path = write(tmp_path / "a", 20.0, 16_000, 1, kind, subtype)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    samples = heard(path)
    # A page of Ogg holds several seconds of so plain a sound, and only whole pages can be read.
    assert (5 if kind == "OGG" else 8) * RATE < len(samples) < 11 * RATE
    assert pitch(samples) == pytest.approx(440, abs=1)


def test_silence_and_odd_numbers_stay_within_bounds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.zeros(RATE), RATE)
    assert np.abs(heard(tmp_path / "quiet.wav")).max() == 0
    odd = tone(1.0) * 4
    odd[100:200] = np.nan
    odd[300] = np.inf
    soundfile.write(tmp_path / "odd.wav", odd, RATE, subtype="FLOAT")
    samples = heard(tmp_path / "odd.wav")
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() == 1


def test_a_header_without_length_says_so_and_the_sound_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(3.0))
    live = tmp_path / "live.webm"  # what a browser's recorder makes
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "libopus", "-live", "1", "-f", "webm", live)
    assert header_seconds(live, SETTINGS) is None
    assert len(heard(live)) == pytest.approx(3 * RATE, abs=0.1 * RATE)


BAD = {
    "notes.wav": (b"la la la " * 99, "notes.wav holds text, not a recording: choose a recording and try again."),
    "empty.mp3": (b"", "empty.mp3 is empty (0 bytes)"),
    "header.wav": (
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\0\0\0\0",
        "header.wav holds no sound that can be read: save or download it again.",
    ),
    "photo.mp3": (b"\xff\xd8\xff\xe0" + bytes(80), "photo.mp3 is a picture, not a recording"),
    "noise.ogg": (random.Random(7).randbytes(4000), "noise.ogg "),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableMedia) as refused:
        heard(tmp_path / name)
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).count(".") == 1 + name.count(".")


def test_limits_are_the_settings_ones(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(180.0, pitch=100))
    with pytest.raises(TooLarge, match=r"a\.wav is longer than the limit \(3 of 2 minutes\): cut it, or raise"):
        next(stream_audio(tmp_path / "a.wav", Settings(max_seconds=120)))
    with pytest.raises(TooLarge, match="the limit is 5 MB"):
        next(stream_audio(tmp_path / "a.wav", Settings(max_megabytes=5)))


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    peaks = []
    for minutes in (3, 18):
        write(tmp_path / "a.flac", 60.0 * minutes, 8_000, 1, "FLAC", "PCM_16")
        tracemalloc.start()
        assert sum(len(block.samples) for block in stream_audio(tmp_path / "a.flac", SETTINGS)) == 60 * minutes * RATE
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.1


def test_broken_bytes_raise_only_what_a_user_can_read(tmp_path: Path) -> None:
    random_ = random.Random(2)
    path = tmp_path / "broken"
    for kind, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)):
        whole = write(path, 1.0, 16_000, 1, kind, subtype).read_bytes()
        for _ in range(30):
            body = bytearray(whole)
            for _ in range(random_.randrange(1, 12)):
                body[random_.randrange(min(len(body), 3000))] = random_.randrange(256)
            path.write_bytes(bytes(body[: random_.randrange(10, len(body) + 1)]))
            try:
                assert np.isfinite(heard(path)).all()
            except InputError as error:
                assert str(error).startswith("broken ")


@pytest.mark.data
def test_real_speech_is_as_long_as_its_manifest_says(data: Path) -> None:
    rows = [json.loads(line) for line in (data / "speech_en" / "metadata.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    for row in rows:
        assert len(heard(data / "speech_en" / row["file"])) / RATE == pytest.approx(row["seconds"], abs=0.01)
