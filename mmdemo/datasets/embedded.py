"""Media that stand in a file of rows itself, written to the studio's data folder once, by content hash."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from pathlib import Path

from mmdemo.errors import NoSpace
from mmdemo.media import files
from mmdemo.settings import Settings

ENDINGS = (
    (b"\xff\xd8\xff", 0, ".jpg"), (b"\x89PNG", 0, ".png"), (b"GIF8", 0, ".gif"), (b"WEBP", 8, ".webp"),
    (b"BM", 0, ".bmp"), (b"WAVE", 8, ".wav"), (b"fLaC", 0, ".flac"), (b"OggS", 0, ".ogg"), (b"ID3", 0, ".mp3"),
    (b"\xff\xfb", 0, ".mp3"), (b"\xff\xf3", 0, ".mp3"), (b"AVI ", 8, ".avi"), (b"\x1aE\xdf\xa3", 0, ".webm"),
)  # fmt: skip


def data_folder(settings: Settings) -> Path:
    """Where unpacked archives and embedded media are written, and nowhere else."""
    return Path(settings.home) / "data"


def ending(data: bytes) -> str:
    """The ending that the first bytes ask for; empty when they say nothing."""
    for signature, offset, name in ENDINGS:
        if data[offset : offset + len(signature)] == signature:
            return name
    return {"picture": ".png", "recording": ".wav", "video": ".mp4"}.get(files.kind(data[: files.HEAD]), "")


def kept(data: bytes | str, settings: Settings) -> Path | None:
    """The file with these bytes, or with those of a `data:` address; None for what is no medium.

    Raises:
        NoSpace: the disk is full or cannot be written.
    """
    if isinstance(data, str):
        try:
            data = base64.b64decode(data.partition(",")[2], validate=True)
        except (binascii.Error, ValueError):
            return None
    name = ending(data)
    if not name:
        return None
    path = data_folder(settings) / "embedded" / (hashlib.sha256(data).hexdigest() + name)
    if not path.is_file():
        write(path, data, sync=False)
    return path


def write(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file whole or not at all.

    Args:
        sync: wait until it is on the disk; what can be made again need not.

    Raises:
        NoSpace: the disk is full or cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise NoSpace(f"{path.name} cannot be written to {path.parent} ({error.strerror}): make room there.") from error
