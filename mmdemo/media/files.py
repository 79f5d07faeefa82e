"""What a file is, judged by its first bytes, and the sentence that says so when it is not what was wanted."""

from __future__ import annotations

from pathlib import Path

from mmdemo.errors import TooLarge, UnreadableMedia
from mmdemo.settings import Settings

HEAD = 4096
"""Bytes that are looked at."""

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "picture"),
    (0, b"\x89PNG\r\n\x1a\n", "picture"),
    (0, b"GIF8", "picture"),
    (8, b"WEBP", "picture"),
    (0, b"BM", "picture"),
    (0, b"II*\0", "picture"),
    (0, b"MM\0*", "picture"),
    (8, b"WAVE", "recording"),
    (0, b"fLaC", "recording"),
    (0, b"ID3", "recording"),
    (0, b"OggS", "recording"),
    (8, b"AVI ", "video"),
    (0, b"\x1aE\xdf\xa3", "video"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "archive"),
    (0, b"\x1f\x8b", "archive"),
    (0, b"Rar!", "archive"),
    (0, b"7z\xbc\xaf", "archive"),
)
"""Offset, bytes, kind."""

HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


def check(path: Path, settings: Settings) -> bytes:
    """The first bytes of a file that is there, is not empty and is within the limit on bytes.

    Raises:
        UnreadableMedia: no such file, a folder, no permission, or 0 bytes.
        TooLarge: over `settings.max_megabytes`.
    """
    try:
        if path.is_dir():
            raise UnreadableMedia(f"{path.name} is a folder: choose a file in it.")
        size = path.stat().st_size
        if size == 0:
            raise UnreadableMedia(f"{path.name} is empty (0 bytes): save or download it again.")
        if size > settings.max_megabytes * 1_000_000:
            raise TooLarge(
                f"{path.name} has {size / 1e6:,.0f} MB and the limit is {settings.max_megabytes:,} MB: "
                "cut or compress it, or raise MMDEMO_MAX_MEGABYTES."
            )
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableMedia(f"{path.name} cannot be opened ({reason}): check that it is still there.") from error


def too_long(path: Path, seconds: float, settings: Settings) -> TooLarge:
    """The error for a recording or a video of more than `settings.max_seconds`."""
    return TooLarge(
        f"{path.name} is longer than the limit ({seconds / 60:,.0f} of {settings.max_seconds / 60:,.0f} minutes): "
        "cut it, or raise MMDEMO_MAX_SECONDS."
    )


def kind(head: bytes) -> str:
    """What a file is by its first bytes, a kind that `refusal` knows; empty when they say nothing."""
    if head[4:8] == b"ftyp":
        brands = head[8:12]
        if brands in HEIC_BRANDS:
            return "HEIC"
        return "picture" if brands in AVIF_BRANDS else "video"
    for offset, signature, name in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    text = as_text(head)
    if text is not None:
        return "SVG" if "<svg" in text[:2048].lower() else "text"
    return ""


def as_text(head: bytes) -> str | None:
    """The bytes as UTF-8 or UTF-16 text, None if they are no text."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[: len(head) // 2 * 2].decode("utf-16", errors="ignore")
    for cut in range(4):  # the last character may have been cut in two
        try:
            text = head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return None if any(ord(c) < 32 and c not in "\t\n\r\f\x1b" for c in text) else text
    return None


def refusal(path: Path, head: bytes, wanted: str) -> UnreadableMedia:
    """The error for a file that could not be opened as `wanted` ("a picture", "a recording", "a video").

    A file of the right kind that could not be opened is called broken.
    """
    name, found = path.name, kind(head)
    if found and wanted.endswith(found):
        return UnreadableMedia(f"{name} is {wanted} that is broken: save or download it again.")
    match found:
        case "SVG":
            sentence = f"{name} is an SVG drawing: export it as PNG and try again."
        case "HEIC":
            sentence = f"{name} is a HEIC photo, which needs the package pillow-heif: save it as JPEG and try again."
        case "PDF":
            sentence = f"{name} is a PDF: save its page as PNG and try again."
        case "text":
            sentence = f"{name} holds text, not {wanted}: choose {wanted} and try again."
        case "archive":
            sentence = f"{name} is an archive: unpack it and choose {wanted} inside."
        case "picture":
            sentence = f"{name} is a picture, not {wanted}: choose {wanted} and try again."
        case "recording":
            sentence = f"{name} is a recording, not {wanted}: choose {wanted} and try again."
        case "video":
            sentence = f"{name} is a video, not {wanted}: choose {wanted} and try again."
        case _:
            sentence = f"{name} is not {wanted} that can be read: save it again in a common format and try again."
    return UnreadableMedia(sentence)
