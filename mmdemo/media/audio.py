"""Any recording, or the sound of any video, as a stream of 16 kHz mono samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from mmdemo.errors import UnreadableMedia
from mmdemo.media import files
from mmdemo.media.containers import open_media, start_seconds
from mmdemo.settings import Settings

Audio = NDArray[np.float32]
"""Mono samples from −1 to 1 at `RATE` a second, (samples,)."""

RATE = 16_000
SOUNDFILE_STARTS = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b".snd", b"caff")
"""First bytes of what libsndfile reads sample-exactly; FFmpeg reads the rest."""
NORMALISED = {"rematrix_maxval": "1.0"}
"""Keeps the sum of the channels within −1 to 1; for float samples swresample does not do so by itself."""
GAP = 0.1
"""Seconds without samples that are filled with silence, so that later times stay right."""


@dataclass(frozen=True)
class Block:
    """A stretch of sound. `start` in seconds from the start of the file; `samples` float32, (samples,)."""

    start: float
    samples: Audio


def stream_audio(path: Path, settings: Settings, block_seconds: float = 30.0) -> Iterator[Block]:
    """The sound of `path` in blocks of `block_seconds` (the last is shorter), 16 kHz mono.

    One block is in memory at a time. A broken tail ends the stream early without an error.

    Raises:
        UnreadableMedia: no recording, no sound in the video, or nothing in it that can be read.
        TooLarge: over `max_megabytes` or `max_seconds`.
    """
    limit = settings.max_seconds
    seconds = header_seconds(path, settings)
    if seconds is not None and seconds > limit:
        raise files.too_long(path, seconds, settings)
    size = max(1, round(block_seconds * RATE))
    waiting: list[Audio] = []
    count = done = 0
    for piece in _resampled(_frames(path, settings), limit):
        while piece.size:
            taken, piece = piece[: size - count], piece[size - count :]
            waiting.append(taken)
            count += taken.size
            if count == size:
                yield Block(done / RATE, _joined(waiting))
                done, count, waiting = done + count, 0, []
        if done + count > limit * RATE:
            raise files.too_long(path, (done + count) / RATE, settings)
    if count:
        yield Block(done / RATE, _joined(waiting))
    elif not done:
        raise UnreadableMedia(f"{path.name} holds no sound that can be read: save or download it again.")


def header_seconds(path: Path, settings: Settings) -> float | None:
    """Length of the sound in seconds as the header tells it; None where it does not, as in a browser's recording.

    Raises:
        UnreadableMedia: no recording, or no sound in the video.
        TooLarge: over `max_megabytes`.
    """
    opened = _soundfile(path, files.check(path, settings))
    if opened is not None:
        with opened:
            return float(opened.frames / opened.samplerate)
    with open_media(path, settings, "a recording") as container:
        stream = _sound(path, container)
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return container.duration / av.time_base if container.duration else None


def write_wav(path: Path, samples: Audio, rate: int = RATE) -> None:
    """Write mono samples at `rate` a second as 16-bit WAV."""
    soundfile.write(str(path), samples, rate, subtype="PCM_16", format="WAV")


def _joined(pieces: list[Audio]) -> Audio:
    samples = np.concatenate(pieces)
    return np.clip(np.nan_to_num(samples, copy=False), -1.0, 1.0)


def _soundfile(path: Path, head: bytes) -> soundfile.SoundFile | None:
    """The file opened by libsndfile if that reads it well; more than two channels need FFmpeg's down-mix."""
    if not head.startswith(SOUNDFILE_STARTS):
        return None
    try:
        opened = soundfile.SoundFile(str(path))
    except (soundfile.SoundFileError, RuntimeError):
        return None
    if opened.channels <= 2 and opened.frames > 0:
        return opened
    opened.close()
    return None


def _sound(path: Path, container: Any) -> Any:
    """The first audio stream."""
    if not container.streams.audio:
        raise UnreadableMedia(f"{path.name} has no sound: choose a recording, or a video with sound.")
    return container.streams.audio[0]


@dataclass(frozen=True)
class _Frame:
    """Decoded sound; `start` in seconds."""

    start: float
    sound: AudioFrame


def _frames(path: Path, settings: Settings) -> Iterator[_Frame]:
    """Decoded frames, by libsndfile where it can, else, or when it can read none of it, by FFmpeg."""
    opened = _soundfile(path, files.check(path, settings))
    read = 0
    if opened is not None:
        for frame in _soundfile_frames(opened):
            read += 1
            yield frame
    if not read:
        yield from _ffmpeg_frames(path, settings)


def _soundfile_frames(opened: soundfile.SoundFile) -> Iterator[_Frame]:
    """One frame a second of sound, until the end or the first broken byte."""
    with opened:
        rate = opened.samplerate
        layout = "mono" if opened.channels == 1 else "stereo"
        position = 0
        while True:
            try:
                samples = opened.read(rate, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError):
                return  # a broken tail
            if not len(samples):
                return
            yield _Frame(position / rate, _frame(np.nan_to_num(samples.T), rate, layout))
            position += len(samples)


def _frame(samples: NDArray[np.float32], rate: int, layout: str) -> AudioFrame:
    """(channels, samples) as a frame for the resampler."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    return frame


def _ffmpeg_frames(path: Path, settings: Settings) -> Iterator[_Frame]:
    """Frames of the first audio stream; packets that cannot be decoded are left out."""
    with open_media(path, settings, "a recording") as container:
        stream = _sound(path, container)
        zero = start_seconds(container)
        end = 0.0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                return  # a broken tail
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue  # a broken packet; the next may be whole
            for frame in decoded:
                start = end if frame.time is None else frame.time - zero
                end = start + frame.samples / frame.sample_rate
                frame.pts = None
                yield _Frame(start, frame)


def _resampled(frames: Iterable[_Frame], limit: float) -> Iterator[Audio]:
    """16 kHz mono pieces. Gaps between timestamps become silence, unless they lead past `limit` seconds."""
    resampler: AudioResampler | None = None
    shape: tuple[object, ...] = ()
    position = 0.0
    for item in frames:
        frame = _mixable(item.sound)
        if item.start - position > GAP and item.start < limit:
            yield from _flushed(resampler)
            resampler = None
            yield from _silence(item.start - position)
            position = item.start
        position += frame.samples / frame.sample_rate
        if resampler is None or shape != (frame.sample_rate, frame.format.name, frame.layout.name):
            yield from _flushed(resampler)
            shape = (frame.sample_rate, frame.format.name, frame.layout.name)
            resampler = AudioResampler(format="flt", layout="mono", rate=RATE, options=NORMALISED)
        for out in resampler.resample(frame):
            yield _samples(out)
    yield from _flushed(resampler)


def _mixable(frame: AudioFrame) -> AudioFrame:
    """The frame itself, or its plain mean over channels where FFmpeg knows no loudspeaker layout for them."""
    if frame.layout.nb_channels <= 8 and "channels" not in frame.layout.name:
        return frame
    samples = frame.to_ndarray()
    scale = 2.0 ** (8 * samples.dtype.itemsize - 1) if samples.dtype.kind == "i" else 1.0
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    return _frame(samples.mean(axis=0, keepdims=True, dtype=np.float32) / scale, frame.sample_rate, "mono")


def _flushed(resampler: AudioResampler | None) -> Iterator[Audio]:
    if resampler is not None:
        for out in resampler.resample(None):
            yield _samples(out)


def _samples(frame: AudioFrame) -> Audio:
    return np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1)


def _silence(seconds: float) -> Iterator[Audio]:
    """Zeros, at most ten seconds at a time."""
    left = round(seconds * RATE)
    while left > 0:
        yield np.zeros(min(left, 10 * RATE), dtype=np.float32)
        left -= 10 * RATE
