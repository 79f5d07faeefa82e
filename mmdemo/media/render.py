"""The video again, with its captions drawn in and its sound kept, through moviepy."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from mmdemo.errors import Cancelled, InputError, UnreadableMedia
from mmdemo.media.lettering import Pixels, drawn, overlay
from mmdemo.media.subtitles import readable
from mmdemo.media.video import probe
from mmdemo.results import Segment
from mmdemo.settings import Settings


def burn_in(
    video: Path,
    segments: Sequence[Segment],
    out: Path,
    settings: Settings | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Write `out`, an H.264/AAC MP4 of `video` with the captions of `segments` at its foot.

    One frame is in memory at a time. Where two captions overlap, both are shown, what is seen above what is said.

    Raises:
        UnreadableMedia: no video, or one without a picture.
        InputError: `out` is no .mp4.
        Cancelled: when `cancelled()` says so; `out` is then not there.
    """
    if out.suffix.lower() != ".mp4":
        raise InputError(f"{out.name} must end in .mp4: captions are drawn into an MP4 video.")
    info = probe(video, settings or Settings())
    if not info.has_picture:
        raise UnreadableMedia(f"{video.name} has no picture to draw captions on: download them as SRT instead.")
    from moviepy import VideoFileClip

    # The size as shown: moviepy misses some rotation notes. Even numbers, for the H.264 that every player reads.
    size = (max(2, info.width // 2 * 2), max(2, info.height // 2 * 2))
    captions = _Captions(readable(segments))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="moviepy")  # a broken tail repeats a frame
        warnings.simplefilter("ignore", ResourceWarning)  # moviepy leaves its pipes to the garbage collector
        made = Path(folder) / "captioned.mp4"
        try:
            with VideoFileClip(str(video), target_resolution=size) as clip:

                def frame(get: Callable[[float], Pixels], time: float) -> Pixels:
                    if cancelled():
                        raise Cancelled("Stopped.")
                    return captions.on(get(time), time)

                clip.transform(frame).write_videofile(
                    str(made),
                    codec="libx264",
                    audio_codec="aac",
                    preset="veryfast",
                    temp_audiofile_path=folder,
                    ffmpeg_params=["-crf", "20", "-movflags", "+faststart"],
                    logger=None,
                )
        except (OSError, KeyError, ValueError, IndexError, ZeroDivisionError) as error:
            raise UnreadableMedia(
                f"{video.name} cannot be written with captions: download them as SRT instead."
            ) from error
        shutil.move(made, out)


class _Captions:
    """What is shown at a time; the last band is kept, because it stays for many frames."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = sorted((one for one in segments if one.text.strip()), key=lambda one: one.start)
        self._starts = [one.start for one in self._segments]
        self._longest = max((one.end - one.start for one in self._segments), default=0.0)
        self._shown: tuple[str, tuple[int, int]] = ("", (0, 0))
        self._band: Image.Image | None = None

    def text(self, time: float) -> str:
        """All captions of this moment, scenes first."""
        first = bisect_right(self._starts, time - self._longest - 1e-6)
        now = [one for one in self._segments[first : bisect_right(self._starts, time)] if one.end > time]
        return "\n".join(one.text for one in sorted(now, key=lambda one: one.kind != "scene"))

    def on(self, frame: Pixels, time: float) -> Pixels:
        """The frame with the captions of `time`."""
        text = self.text(time)
        if not text:
            return frame
        wanted = (text, (frame.shape[1], frame.shape[0]))
        if self._band is None or self._shown != wanted:
            self._band, self._shown = overlay(*wanted), wanted
        return drawn(frame, self._band)
