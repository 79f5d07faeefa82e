"""Every picture a person may drop: shown right, or refused in one sentence."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdemo.errors import InputError, TooLarge, UnreadableMedia
from mmdemo.media.images import open_image
from mmdemo.settings import Settings

SETTINGS = Settings()


def png(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    """A PNG by hand: header, data, end."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def photo(size: tuple[int, int] = (320, 200)) -> Image.Image:
    """Red above, blue below, with some noise so that a JPEG has a body."""
    pixels = np.random.default_rng(1).integers(0, 20, (size[1], size[0], 3), dtype=np.uint8)
    pixels[: size[1] // 2, :, 0] += 200
    pixels[size[1] // 2 :, :, 2] += 200
    return Image.fromarray(pixels)


def test_a_picture_is_what_its_content_is_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "holiday.txt"
    photo().save(path, "PNG")
    image = open_image(path, SETTINGS)
    assert image.mode == "RGB"
    assert image.size == (320, 200)
    assert np.array_equal(np.asarray(image), np.asarray(photo()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_upright(tmp_path: Path, orientation: int) -> None:
    upright = photo()
    turned = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "phone.png"
    (upright if turned is None else upright.transpose(turned)).save(path, exif=exif)
    assert np.array_equal(np.asarray(open_image(path, SETTINGS)), np.asarray(upright))


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    for name in ("a.gif", "a.webp"):
        path = tmp_path / name
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, lossless=True)
        assert open_image(path, SETTINGS).getpixel((20, 15)) == (255, 0, 0), name


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.putpixel((1, 1), (0, 0, 0, 255))
    clear.putpixel((2, 2), (0, 0, 0, 51))
    clear.save(tmp_path / "logo.png")
    image = open_image(tmp_path / "logo.png", SETTINGS)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((1, 1)) == (0, 0, 0)
    assert image.getpixel((2, 2)) == (204, 204, 204)
    palette = Image.new("P", (20, 20), 3)
    palette.putpalette([0, 0, 0] * 3 + [9, 9, 9])
    palette.save(tmp_path / "old.gif", transparency=3)
    assert open_image(tmp_path / "old.gif", SETTINGS).getpixel((5, 5)) == (255, 255, 255)
    grey = Image.new("LA", (8, 8), (10, 0))
    grey.save(tmp_path / "grey.png")
    assert open_image(tmp_path / "grey.png", SETTINGS).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_keep_their_greys(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    for name in ("scan.png", "scan.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        grey = np.asarray(open_image(tmp_path / name, SETTINGS))[0, :, 0].astype(int)
        assert np.abs(grey - np.arange(256)).max() <= 1, name


def test_floats_keep_their_greys(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(2, axis=0)).save(tmp_path / "f.tif")
    grey = np.asarray(open_image(tmp_path / "f.tif", SETTINGS))[0, :, 0].astype(int)
    assert np.abs(grey - np.arange(256)).max() <= 1
    Image.fromarray(np.array([[-500.0, np.nan, 500.0]], dtype=np.float32)).save(tmp_path / "ct.tif")
    assert np.asarray(open_image(tmp_path / "ct.tif", SETTINGS))[0, :, 0].tolist() == [0, 128, 255]


def test_print_colours_become_screen_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (30, 30), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=95)
    red, green, blue = open_image(tmp_path / "print.jpg", SETTINGS).getpixel((15, 15))
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("mode", ["1", "L", "P", "LAB"])
def test_other_colour_models_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.new("LAB", (320, 200), (128, 128, 128)) if mode == "LAB" else photo().convert(mode)
    picture.save(tmp_path / "x.tif")
    image = open_image(tmp_path / "x.tif", SETTINGS)
    assert (image.mode, image.size) == ("RGB", (320, 200))


def test_fit_shrinks_a_big_photo_and_leaves_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    photo((3200, 2000)).save(path)
    small = open_image(path, SETTINGS, fit=400)
    assert small.size == (400, 250)
    red, _, blue = small.getpixel((200, 60))
    assert red > 180 and blue < 40
    assert open_image(path, SETTINGS).size == (3200, 2000)
    assert open_image(path, SETTINGS, fit=9000).size == (3200, 2000)


def test_fit_counts_the_longest_side_of_a_turned_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo((3200, 100)).save(tmp_path / "strip.jpg", exif=exif)
    assert open_image(tmp_path / "strip.jpg", SETTINGS, fit=320).size == (10, 320)


def test_a_gigantic_picture_is_refused_without_being_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(50_000, 50_000))
    tracemalloc.start()
    with pytest.raises(TooLarge, match=r"bomb\.png has .*the limit is 100 million: shrink it"):
        open_image(path, SETTINGS)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_the_pixel_limit_is_the_settings_one(tmp_path: Path) -> None:
    photo((1200, 1000)).save(tmp_path / "p.png")
    with pytest.raises(TooLarge, match="1,200 × 1,000 pixels and the limit is 1 million"):
        open_image(tmp_path / "p.png", Settings(max_megapixels=1))
    assert open_image(tmp_path / "p.png", Settings(max_megapixels=2)).size == (1200, 1000)


def test_a_file_over_the_byte_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(3_000_000)
    with pytest.raises(TooLarge, match=r"huge\.jpg has 3 MB and the limit is 2 MB"):
        open_image(path, Settings(max_megabytes=2))


BAD = {
    "notes.jpg": ("Dear diary, éà, 今天".encode(), "notes.jpg holds text, not a picture: choose a picture"),
    "drawing.png": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>',
                    "drawing.png is an SVG drawing: export it as PNG and try again."),
    "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "phone.jpg is a HEIC photo, which needs"),
    "none.png": (b"", "none.png is empty (0 bytes): save or download it again."),
    "paper.png": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "paper.png is a PDF: save its page as PNG"),
    "clip.png": (b"\0\0\0\x18ftypisom" + bytes(64), "clip.png is a video, not a picture"),
    "noise.jpg": (random.Random(4).randbytes(400), "noise.jpg is not a picture that can"),
    "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "eps.png holds text, not a picture"),
    "header.png": (png(10, 10)[:20], "header.png is a picture that is broken: save or download it again."),
    "body.png": (png(10, 10), "body.png is a broken or cut-off PNG picture: save or download it again."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableMedia) as refused:
        open_image(tmp_path / name, SETTINGS)
    message = str(refused.value)
    assert message.startswith(sentence)
    assert message.endswith(".") and "\n" not in message


def test_a_cut_off_photo_is_refused(tmp_path: Path) -> None:
    photo().save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:3000])
    with pytest.raises(UnreadableMedia, match=r"half\.jpg is a broken or cut-off JPEG picture"):
        open_image(tmp_path / "half.jpg", SETTINGS)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableMedia, match=r"gone\.png cannot be opened"):
        open_image(tmp_path / "gone.png", SETTINGS)
    with pytest.raises(UnreadableMedia, match="is a folder: choose a file in it"):
        open_image(tmp_path, SETTINGS)


def test_broken_bytes_raise_only_what_a_user_can_read(tmp_path: Path) -> None:
    random_ = random.Random(0)
    path = tmp_path / "broken"
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "ICO"):
        photo((64, 48)).save(path, kind)
        whole = path.read_bytes()
        for _ in range(40):
            body = bytearray(whole)
            for _ in range(random_.randrange(1, 12)):
                body[random_.randrange(len(body))] = random_.randrange(256)
            path.write_bytes(bytes(body[: random_.randrange(1, len(body) + 1)]))
            try:
                assert open_image(path, SETTINGS).mode == "RGB"
            except InputError as error:
                assert str(error).startswith("broken ")
