"""What the ending of a name promises: a picture, a video, a recording."""

from __future__ import annotations

from pathlib import PurePath

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"))
VIDEOS = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv")
)
SOUNDS = frozenset((".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff"))


def kind(name: str | PurePath) -> str:
    """`image`, `audio` or `video`, empty for any other ending."""
    ending = (name if isinstance(name, PurePath) else PurePath(name)).suffix.lower()
    if ending in PICTURES:
        return "image"
    if ending in SOUNDS:
        return "audio"
    return "video" if ending in VIDEOS else ""
