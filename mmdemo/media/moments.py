"""A few frames of a video, evenly spaced over a stretch of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mmdemo.errors import UnreadableMedia
from mmdemo.media.frames import Frame, frames
from mmdemo.media.video import probe
from mmdemo.settings import Settings


def moments(
    path: Path, settings: Settings, count: int, start: float = 0.0, end: float | None = None
) -> list[Image.Image]:
    """The frames in the middle of `count` equal parts of a stretch, RGB and upright; one may come twice.

    Args:
        start, end: of the stretch, in seconds; without an end all that is left.

    Raises:
        UnreadableMedia: no video, no picture in it, or no frame that can be read there.
        TooLarge: see `video.probe`.
    """
    info = probe(path, settings)
    if not info.has_picture:
        raise UnreadableMedia(f"{path.name} has no picture: choose a video.")
    last = min(info.seconds or end or 0.0, end if end is not None else float("inf"))
    wanted = [start + (last - start) * (place + 0.5) / count for place in range(count)]
    found: list[Image.Image] = []
    before: Frame | None = None
    for frame in frames(path, info.frames_per_second, since=max(0.0, start)):
        while len(found) < count and frame.time > wanted[len(found)]:
            found.append(_picture(before or frame))
        if len(found) == count:
            break
        before = frame
    if before is not None:
        found += [_picture(before)] * (count - len(found))
    if not found:
        raise UnreadableMedia(f"{path.name} has no frame that can be read: save or download it again.")
    return found


def _picture(frame: Frame) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame.full()[:, :, ::-1]))
