"""Makes small videos and recordings for tests, with PyAV."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200), "grey": (120, 120, 120)}


def tone(seconds: float, rate: int = 16_000, pitch: float = 440.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A sine of half the full scale, (samples,)."""
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def picture(colour: str, size: tuple[int, int] = (160, 96), top: str = "") -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A plain picture with some texture, its upper half in the colour `top` if given, (height, width, 3)."""
    pixels = np.empty((size[1], size[0], 3), dtype=np.uint8)
    pixels[:] = COLOURS[colour]
    if top:
        pixels[: size[1] // 2] = COLOURS[top]
    pixels[::8] = np.minimum(pixels[::8].astype(int) + 20, 255)
    return pixels


def video(
    path: Path,
    scenes: Sequence[tuple[str, float]] = (("red", 2.0), ("blue", 2.0)),
    *,
    fps: int = 25,
    size: tuple[int, int] = (160, 96),
    sound: float = 0.0,
    times: Sequence[float] = (),
    top: str = "",
    quality: dict[str, str] | None = None,
) -> Path:
    """A video of plain scenes (colour, seconds), with `sound` seconds of a tone.

    Args:
        times: seconds of each frame, for a variable frame rate.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264" if path.suffix != ".avi" else "mpeg4", rate=fps, options=quality or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000 if times else fps)
        voice = container.add_stream("aac" if path.suffix != ".avi" else "mp3", rate=48_000) if sound else None
        colours = [colour for colour, seconds in scenes for _ in range(max(1, round(seconds * fps)))]
        for index, colour in enumerate(colours[: len(times)] if times else colours):
            frame = av.VideoFrame.from_ndarray(picture(colour, size, top), format="rgb24")
            frame.pts = round(times[index] * 1000) if times else index
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice is not None:
            samples = np.repeat(tone(sound, 48_000)[None], 2, axis=0)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            for piece in av.AudioResampler(format=voice.codec_context.format, layout="stereo", rate=48_000).resample(
                frame
            ):
                container.mux(voice.encode(piece))
            container.mux(voice.encode())
    return path


def turned(source: Path, target: Path, degrees: int) -> Path:
    """The same video with a phone's rotation note."""
    command = ["-v", "error", "-y", "-display_rotation", str(degrees), "-i", source, "-c", "copy", target]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *map(str, command)], check=True)
    return target


def ffmpeg(*arguments: str | Path) -> None:
    """Run the FFmpeg that moviepy brings."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True)
