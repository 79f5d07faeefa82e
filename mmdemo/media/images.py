"""Any picture to upright 8-bit RGB, with limits checked before a pixel is decoded."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mmdemo.errors import TooLarge, UnreadableMedia
from mmdemo.media import files
from mmdemo.settings import Settings

FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "ICNS", "PSD",
    "QOI", "PCX", "SGI", "DDS", "HEIF",
)  # fmt: skip
"""What Pillow may try. Not EPS and the like: those run an interpreter on the file."""


def open_image(path: Path, settings: Settings, *, fit: int | None = None) -> Image.Image:
    """The picture in `path`: RGB, upright, the first frame of an animation, what is transparent on white.

    What it is decides its content; its extension is never looked at.

    Args:
        fit: pixels of the longest side that is needed; a larger picture is shrunk to it, a JPEG while it is decoded.

    Raises:
        UnreadableMedia: not a picture, or a broken one.
        TooLarge: over `max_megabytes` or `max_megapixels`; the pixels are counted before they are decoded.
    """
    head = files.check(path, settings)
    with _open(path, head, settings) as image:
        width, height = image.size
        limit = settings.max_megapixels * 1_000_000
        if width * height > limit:
            raise _too_many_pixels(path, f"{width:,} × {height:,} pixels", settings)
        try:
            if fit:
                scale = fit / max(width, height)
                image.draft(None, (round(width * scale) or 1, round(height * scale) or 1))
            image.load()
            return _shrunk(_upright(_rgb(image), image), fit)
        except (Image.DecompressionBombError, MemoryError) as error:
            raise _too_many_pixels(path, "more pixels than can be decoded", settings) from error
        except Exception as error:  # a decoder may raise anything on broken bytes
            raise UnreadableMedia(
                f"{path.name} is a broken or cut-off {image.format} picture: save or download it again."
            ) from error


def _open(path: Path, head: bytes, settings: Settings) -> Image.Image:
    """Read the header. Pillow's own guard against huge pictures is read as ours."""
    # Pillow's guard is a global; it may only be loosened, and the exact limit is checked on the header's size.
    limit = settings.max_megapixels * 1_000_000
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, limit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a huge picture, odd metadata: decided here, not in a log
            return Image.open(path, formats=_formats())
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(path, "far too many pixels", settings) from error
    except Exception as error:  # a header parser may raise anything on broken bytes
        raise files.refusal(path, head, "a picture") from error


def _too_many_pixels(path: Path, what: str, settings: Settings) -> TooLarge:
    return TooLarge(
        f"{path.name} has {what} and the limit is {settings.max_megapixels:,} million: "
        "shrink it, or raise MMDEMO_MAX_MEGAPIXELS."
    )


def _formats() -> list[str]:
    """Those of `FORMATS` that this Pillow has; HEIC photos too if the optional package pillow-heif is installed."""
    try:
        import pillow_heif  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any mode."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Grey values of more than 8 bits, scaled to 0 to 255, (height, width).

    16 bits are scaled by their full range, as a viewer does. 32-bit integers and floats have no agreed range: from
    0 to 1 for floats that stay there, from the smallest to the largest value for others.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high = 0.0, 65535.0
    elif image.mode == "I" and low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((values - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)


def _upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Turned as the EXIF orientation of `source` says."""
    turn = _TURNS.get(_orientation(source))
    return picture.transpose(turn) if turn is not None else picture


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF tag 0x0112 (Exif 2.32, 4.6.4) to what undoes it."""


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or the metadata are broken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # noqa: BLE001  # the picture is fine; broken metadata must not cost it
        return 1


def _shrunk(picture: Image.Image, fit: int | None) -> Image.Image:
    if fit and max(picture.size) > fit:
        return ImageOps.contain(picture, (fit, fit), Image.Resampling.BICUBIC)
    return picture
