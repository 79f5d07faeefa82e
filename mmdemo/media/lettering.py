"""Captions as pixels: a font that has the letters, white on a dark band, at the foot of a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Pixels = NDArray[np.uint8]

FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf", "Helvetica.ttc",
    "NotoSansCJK-Regular.ttc", "NotoSerifCJK-Regular.ttc", "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc",
    "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "Arial Unicode.ttf",
    "msyh.ttc", "simsun.ttc", "malgun.ttf", "YuGothR.ttc",
)  # fmt: skip
"""Names that Pillow looks for in the system's font folders: Linux, macOS, Windows; the last ones have Chinese."""
BAND = (0, 0, 0, 170)
"""Red, green, blue, opacity behind the letters."""


def font_for(text: str, size: int) -> Font:
    """The first font that has every letter of `text`, else the one that lacks fewest.

    Pillow carries a Latin font of its own, so there always is one.
    """
    letters = "".join(sorted(set("".join(text.split()))))
    name = _best(letters)
    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)


@lru_cache(maxsize=256)
def _best(letters: str) -> str:
    """A name of `FONTS`; empty for Pillow's own font."""
    best, fewest = "", _lacking(ImageFont.load_default(20), letters)
    for name in FONTS:
        try:
            lacking = _lacking(ImageFont.truetype(name, 20), letters)
        except OSError:
            continue  # not on this machine
        # A real system font is preferred to the built-in one when neither lacks a letter.
        if lacking < fewest or (not best and lacking == fewest):
            best, fewest = name, lacking
        if not fewest and best:
            break
    return best


def _lacking(font: Font, letters: str) -> int:
    """How many letters the font draws as its "no such letter" box."""
    box = bytes(font.getmask("\uffff"))
    return sum(bytes(font.getmask(letter)) == box for letter in letters)


def overlay(text: str, size: tuple[int, int]) -> Image.Image:
    """`text` on its band, RGBA, at most as wide as a frame of `size` (width, height) and a third as high."""
    width, height = size
    letter = max(8, round(min(height / 16, width / 22)))
    while True:
        font = font_for(text, letter)
        rows = _rows(text, lambda row, font=font: font.getbbox(row)[2] <= width * 0.92)  # type: ignore[misc]
        drawing = ImageDraw.Draw(Image.new("L", (1, 1)))
        block = "\n".join(rows)
        left, top, right, bottom = drawing.multiline_textbbox((0, 0), block, font=font, align="center", spacing=4)
        if bottom - top <= height / 3 or letter <= 8:
            break
        letter = max(8, letter * 3 // 4)
    pad = max(2, letter // 3)
    image = Image.new("RGBA", (min(width, round(right - left) + 2 * pad), round(bottom - top) + 2 * pad), BAND)
    ImageDraw.Draw(image).multiline_text(
        (pad - left, pad - top), block, font=font, fill="white", align="center", spacing=4
    )
    return image


def _rows(text: str, fits: Callable[[str], bool]) -> list[str]:
    """`text` on lines that fit: its own line breaks, then between words, then anywhere."""
    rows: list[str] = []
    for line in text.splitlines():
        row = ""
        for word in line.split():
            grown = f"{row} {word}" if row else word
            if fits(grown):
                row = grown
                continue
            if row:
                rows.append(row)
            row = ""
            for letter in word:
                if row and not fits(row + letter):
                    rows.append(row)
                    row = ""
                row += letter
        if row:
            rows.append(row)
    return rows


def drawn(frame: Pixels, band: Image.Image) -> Pixels:
    """A copy of the frame, (height, width, 3), with the band in the middle of its foot."""
    height, width = frame.shape[:2]
    picture = Image.fromarray(frame)
    x = (width - band.width) // 2
    y = max(0, height - band.height - max(2, height // 20))
    picture.paste(band, (x, y), mask=band)
    return np.asarray(picture)
