"""Opens a recording or a video through FFmpeg (PyAV), and nothing else: no playlist, no address, no drawing."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from mmdemo.media import files
from mmdemo.settings import Settings

DEMUXERS = (
    "mov", "mp4", "m4a", "3gp", "matroska", "webm", "avi", "flv", "mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc",
    "av1", "obu", "ivf", "ogg", "asf", "rm", "nut", "mxf", "dv", "gif", "yuv4mpegpipe",
    "wav", "w64", "aiff", "au", "caf", "flac", "mp3", "aac", "loas", "ac3", "eac3", "dts", "amr", "amrnb", "amrwb",
    "wv", "tta", "ape", "voc", "mpc", "mpc8", "tak", "dsf", "gsm",
)  # fmt: skip
"""What FFmpeg may try. Not playlists (hls, concat, dash), which make it open other files and addresses; not text
(tty draws it as a video); not pictures, which have their own page."""

ALLOWED = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"}
"""The options that hold FFmpeg to it."""


def open_media(path: Path, settings: Settings, wanted: str) -> InputContainer:
    """An open container; close it after use.

    Args:
        wanted: "a recording" or "a video", for the error.

    Raises:
        UnreadableMedia: nothing that FFmpeg reads, or broken before the first frame.
        TooLarge: over `settings.max_megabytes`.
    """
    head = files.check(path, settings)
    try:
        container: InputContainer = av.open(str(path), metadata_errors="ignore", options=dict(ALLOWED))
        return container
    except (av.FFmpegError, ValueError) as error:
        raise files.refusal(path, head, wanted) from error


def start_seconds(container: InputContainer) -> float:
    """What a player calls 0:00, on the clock of the container's timestamps."""
    return float((container.start_time or 0) / av.time_base)
