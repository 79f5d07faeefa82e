"""Any video to shots with a keyframe each, decoded as a stream: memory does not grow with length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition
from PIL import Image

from mmdemo.errors import Cancelled, TooLarge, UnreadableMedia
from mmdemo.media import files
from mmdemo.media.containers import open_media, start_seconds
from mmdemo.media.frames import Frame, frames
from mmdemo.media.keyframes import Candidates
from mmdemo.settings import Settings

SHORTEST = 0.6
"""Seconds that a shot lasts at least; faster cuts (flashes, strobes) belong to it. PySceneDetect's own default."""
REMAINDER = 1.0
"""Seconds: a rest of a long shot that is shorter than this stays with the piece before it."""
LATE = 0.5
"""Seconds: a picture that begins later than this has a first shot that begins later than 0."""


@dataclass(frozen=True)
class VideoInfo:
    """What a container holds. `width` and `height` in pixels as shown, upright; 0 without a picture.

    `begin`: the seconds at which the picture begins, from the start of the file.
    """

    seconds: float
    width: int
    height: int
    frames_per_second: float
    has_picture: bool
    has_sound: bool
    begin: float = 0.0


@dataclass(frozen=True)
class Shot:
    """A stretch of video between two cuts, in seconds, and its keyframe: RGB, upright, at most 1,280 pixels long."""

    start: float
    end: float
    keyframe: Image.Image


def probe(path: Path, settings: Settings) -> VideoInfo:
    """What is in a video, or in a recording without a picture. A cover picture is not a picture.

    Raises:
        UnreadableMedia: neither a video nor a recording, or one without picture and sound.
        TooLarge: over `max_megabytes`, `max_seconds`, or `max_megapixels` a frame.
    """
    with open_media(path, settings, "a video") as container:
        picture = _picture(container)
        has_sound = bool(container.streams.audio)
        if picture is None and not has_sound:
            raise UnreadableMedia(f"{path.name} has neither picture nor sound: choose a video.")
        seconds = _seconds(container, picture)
        if seconds > settings.max_seconds:
            raise files.too_long(path, seconds, settings)
        if picture is None:
            return VideoInfo(seconds, 0, 0, 0.0, False, has_sound)
        width, height = picture.codec_context.width, picture.codec_context.height
        if width * height > settings.max_megapixels * 1_000_000:
            raise TooLarge(
                f"{path.name} has frames of {width:,} × {height:,} pixels and the limit is "
                f"{settings.max_megapixels:,} million: shrink it, or raise MMDEMO_MAX_MEGAPIXELS."
            )
        rate = float(picture.average_rate or picture.guessed_rate or 0)
        if _turned(container, picture):
            width, height = height, width
        begin = float((picture.start_time or 0) * picture.time_base) - start_seconds(container)
        return VideoInfo(seconds, width, height, rate, True, has_sound, max(0.0, begin))


def shots(
    path: Path,
    settings: Settings,
    *,
    sensitivity: float = 27.0,
    longest: float = 15.0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Shot]:
    """The shots of a video as they are found, in order, without gaps, from the first frame to the last.

    Cuts are found by PySceneDetect's `ContentDetector` (mean change of hue, saturation and brightness between
    frames). A shot longer than `longest` seconds comes in pieces, each up to its first frame past that; a rest under
    `REMAINDER` seconds stays with the last. A broken tail ends the video early without an error.

    Args:
        sensitivity: the detector's threshold, 0 to 255; lower finds more cuts.

    Raises:
        UnreadableMedia: no video, no picture in it, or no frame that can be read.
        TooLarge: see `probe`.
        Cancelled: when `cancelled()` says so.
    """
    from scenedetect.common import FrameTimecode
    from scenedetect.detector import FlashFilter
    from scenedetect.detectors import ContentDetector

    info = probe(path, settings)
    if not info.has_picture:
        raise UnreadableMedia(f"{path.name} has no picture, only sound: transcribe it instead.")
    # SUPPRESS reports a cut at the frame it is on; MERGE may report one in the past, whose frames are gone.
    detector = ContentDetector(sensitivity, min_scene_len=SHORTEST, filter_mode=FlashFilter.Mode.SUPPRESS)
    piece: _Piece | None = None
    frame: Frame | None = None
    for frame in frames(path, info.frames_per_second, info.begin):
        if cancelled():
            raise Cancelled("Stopped.")
        if frame.time > settings.max_seconds:  # the header, which `probe` believes, may say less than there is
            raise files.too_long(path, frame.time, settings)
        is_cut = bool(detector.process_frame(FrameTimecode(frame.time, fps=frame.rate), frame.small))
        if piece is None:
            piece = _Piece(frame.time if frame.time > LATE else 0.0, longest)
        elif is_cut:
            yield piece.shot(frame.time)
            piece = _Piece(frame.time, longest)
        elif piece.rest is not None and frame.time - piece.rest.start >= REMAINDER:
            yield piece.shot(piece.rest.start)
            piece = piece.rest
        piece.add(frame)
    if piece is None or frame is None:
        raise UnreadableMedia(f"{path.name} has no frame that can be read: save or download it again.")
    yield piece.shot(frame.end)


class _Piece:
    """A shot, or a piece of a long one, that is still being read. `rest` is what lies beyond `longest` seconds."""

    def __init__(self, start: float, longest: float) -> None:
        self.start = start
        self.longest = longest
        self.candidates = Candidates()
        self.rest: _Piece | None = None

    def add(self, frame: Frame) -> None:
        if self.rest is None and frame.time - self.start >= self.longest - 1e-6:
            self.rest = _Piece(frame.time, self.longest)
        if self.rest is not None:
            self.rest.add(frame)
        else:
            self.candidates.add(frame)

    def shot(self, end: float) -> Shot:
        return Shot(self.start, end, self.candidates.best((self.start + end) / 2))


def _picture(container: Any) -> Any:
    """The first video stream that is no cover picture, None if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def _seconds(container: Any, picture: Any) -> float:
    """Length of the container; where its header does not say, the end of the last packet."""
    if container.duration:
        return float(container.duration / av.time_base)
    if picture is not None and picture.duration:
        return float(picture.duration * picture.time_base)
    end = 0.0
    zero = start_seconds(container)
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base) - zero)
    except av.FFmpegError:
        pass  # a broken tail: what is before it counts
    return end


def _turned(container: Any, picture: Any) -> bool:
    """Whether the picture is shown turned by a quarter. The rotation is told by the first frame alone."""
    try:
        for frame in container.decode(picture):
            return bool(frame.rotation % 180)
    except av.FFmpegError:
        pass  # no readable first frame: `shots` says so
    return False
