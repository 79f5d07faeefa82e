"""Text of any encoding, and which lines had to be guessed."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from mmdemo.datasets.problems import Problems
from mmdemo.errors import InputError
from mmdemo.media import files
from mmdemo.settings import Settings

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WORKBOOKS = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04")
BINARY = (b"%PDF", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"SQLite format 3")
HEAD = 4096
SAMPLE = 1 << 18
"""Bytes from which an encoding is guessed."""


def text_of(path: Path, name: str, settings: Settings, problems: Problems) -> str:
    """The text of a file: UTF-8, what its byte order mark says, or what charset-normalizer takes it for.

    In a file of two encodings, the lines that are UTF-8 stay so and the others are guessed together.

    Raises:
        InputError: no text: a workbook, an archive, anything with null bytes; or nothing at all.
        TooLarge: over `max_megabytes`.
    """
    head = files.check(path, settings)
    if head.startswith(WORKBOOKS):
        raise InputError(
            f"{name} is an Excel workbook or an archive, whatever its ending says: "
            "open it in its program, save it as CSV (UTF-8) and try again."
        )
    if head.startswith(BINARY):
        raise InputError(
            f"{name} is a PDF, an archive or a database, not a file of rows: save its rows as CSV (UTF-8)."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}): check that it is there.") from error
    return decoded(data, name, problems)


def decoded(data: bytes, name: str, problems: Problems) -> str:
    """Bytes as text with `\\n` line ends; see `text_of`."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _clean(data.decode(encoding, "replace"), name, problems)
    if 0 in data[:HEAD]:
        encoding = _wide(data[:HEAD])
        if encoding:
            return _clean(data.decode(encoding, "replace"), name, problems)
    try:
        return _clean(data.decode("utf-8"), name, problems)
    except UnicodeDecodeError:
        return _clean(_mixed(data, name, problems), name, problems)


def _wide(head: bytes) -> str:
    """UTF-16 without a mark, told by line ends and delimiters that are such in one order of the bytes; else empty."""
    best, found = 0, ""
    for encoding in ("utf-16-le", "utf-16-be"):
        text = head.decode(encoding, "ignore")
        count = 0 if "\0" in text else sum(1 for letter in text if letter in "\n\t ,;|" or letter.isascii())
        if count > best:
            best, found = count, encoding
    return found


def _mixed(data: bytes, name: str, problems: Problems) -> str:
    lines = data.splitlines(keepends=True)
    foreign: list[int] = []
    for number, line in enumerate(lines):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            foreign.append(number)
    encoding = guessed(b"".join(lines[number] for number in foreign))
    plain = sum(1 for number, line in enumerate(lines) if not line.isascii()) == len(foreign)
    first, more = foreign[0] + 1, len(foreign) - 1
    mixed = (
        f"{name} mixes encodings: line {first:,} and {more:,} more were read as {encoding}, the rest as UTF-8; "
        "check those lines."
        if more
        else f"{name} mixes encodings: line {first:,} was read as {encoding}, the rest as UTF-8; check it."
    )
    problems.add(
        "an encoding that is not UTF-8",
        f"{name} is not UTF-8 and was read as {encoding}: save it as UTF-8 if letters look wrong." if plain else mixed,
    )
    if plain:
        return data.decode(encoding, "replace")
    wrong = set(foreign)
    return "".join(line.decode(encoding if n in wrong else "utf-8", "replace") for n, line in enumerate(lines))


FEW = 8
"""Letters that are not ASCII, each alone among such that are; fewer tell nothing of an encoding."""


def guessed(data: bytes) -> str:
    """The encoding that charset-normalizer finds, Windows' Western one where it finds none."""
    from charset_normalizer import from_bytes

    high = re.findall(rb"[\x80-\xff]+", data[:SAMPLE])
    if len(high) < FEW and all(len(run) == 1 for run in high):
        return "cp1252"  # too little to guess by: it would be Urdu as well as French
    best = from_bytes(data[:SAMPLE]).best()
    return best.encoding if best is not None and best.encoding != "ascii" else "cp1252"


def _clean(text: str, name: str, problems: Problems) -> str:
    if "\0" in text:
        problems.add("null bytes", f"{name} holds null bytes, which were left out.")
        text = text.replace("\0", "")
    return text.replace("\r\n", "\n").replace("\r", "\n")
