"""Every odd file a person may drop: handled, or refused in one sentence, and the next request works either way."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmdemo.errors import InputError
from mmdemo.results import Description, Track, Transcript
from mmdemo.settings import Settings
from mmdemo.studio import Studio
from tests.fakes import install
from tests.media.clips import tone, video

Result = Description | Transcript | Track
Make = Callable[[Path], Path]
OPTIONS = {
    "describe": {"model": "fake-eye", "read_text": "no"},
    "caption": {"model": "fake-eye", "speech_model": "fake-ear"},
    "transcribe": {"model": "fake-ear", "voice_only": False},
}
GOOD: dict[str, tuple[Make, str]] = {
    "describe": (lambda folder: saved(folder / "good.png", "RGB"), "A picture 8 wide, as sentence."),
    "caption": (lambda folder: video(folder / "good.mp4", [("red", 1.0)]), "A picture 160 wide, as sentence."),
    "transcribe": (lambda folder: sound(folder / "good.wav", 16_000, 1), "heard with 5 beams"),
}
"""A file that works, and what is said of it."""


def saved(path: Path, mode: str, size: tuple[int, int] = (8, 4), **how: object) -> Path:
    """A picture of noise."""
    pixels = Image.frombytes("RGB", size, random.Random(0).randbytes(3 * size[0] * size[1]))
    pixels.convert(mode).save(path, **how)  # type: ignore[arg-type]
    return path


def png(path: Path, width: int, height: int, depth: int, kind: int, row: bytes = b"") -> Path:
    """A PNG of equal rows, chunk by chunk (PNG specification, 11.2)."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress((b"\0" + row) * height if row else b"")), (b"IEND", b"")]
    packed = (struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
              for name, body in chunks)  # fmt: skip
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


def sound(path: Path, rate: int, channels: int, loud: float = 1.0, subtype: str = "PCM_24") -> Path:
    """Two seconds of a tone."""
    soundfile.write(path, np.repeat(tone(2.0, rate)[:, None], channels, axis=1) * loud, rate, subtype=subtype)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    """The file without its tail."""
    content = path.read_bytes()
    return written(path, content[: int(len(content) * share)])


def animation(path: Path) -> Path:
    frames = [Image.new("RGB", (8, 4), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


def turned(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(path, "RGB", (4, 8), exif=exif)


def broken_tail(path: Path) -> Path:
    return cut(video(path, [("red", 2.0), ("blue", 2.0)], quality={"g": "10", "crf": "5"}), 0.7)


EIGHT = "A picture 8 wide, as sentence."
HEARD = "heard with 5 beams"
CASES: dict[str, tuple[str, Make, str]] = {
    "wrong extension": ("describe", lambda f: saved(f / "a.jpg", "RGB", format="PNG"), EIGHT),
    "truncated JPEG": (
        "describe", lambda f: cut(saved(f / "a.jpg", "RGB", (640, 480)), 0.5), "!is a broken or cut-off JPEG picture",
    ),
    "50,000 × 50,000 PNG": ("describe", lambda f: png(f / "a.png", 50_000, 50_000, 8, 2), "!has far too many pixels"),
    "animated GIF": ("describe", lambda f: animation(f / "a.gif"), EIGHT),
    "animated WebP": ("describe", lambda f: animation(f / "a.webp"), EIGHT),
    "CMYK": ("describe", lambda f: saved(f / "a.jpg", "CMYK"), EIGHT),
    "16-bit grey PNG": ("describe", lambda f: png(f / "a.png", 8, 4, 16, 0, bytes(range(16))), EIGHT),
    "48-bit RGB PNG": ("describe", lambda f: png(f / "a.png", 8, 4, 16, 2, bytes(range(48))), EIGHT),
    "64-bit RGBA PNG": ("describe", lambda f: png(f / "a.png", 8, 4, 16, 6, bytes(range(64))), EIGHT),
    "EXIF rotation": ("describe", lambda f: turned(f / "a.jpg"), EIGHT),
    "transparent PNG": ("describe", lambda f: saved(f / "a.png", "RGBA"), EIGHT),
    "SVG": ("describe", lambda f: written(f / "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "!is an SVG"),
    "HEIC": ("describe", lambda f: written(f / "a.heic", b"\0\0\0\x18ftypheic" + bytes(99)), "!is a HEIC photo"),
    "empty picture": ("describe", lambda f: written(f / "a.png", b""), "!is empty (0 bytes)"),
    "text renamed .jpg": ("describe", lambda f: written(f / "a.jpg", b"Dear diary"), "!holds text, not a picture"),
    "text renamed .mp4": ("caption", lambda f: written(f / "a.mp4", b"Dear diary"), "!holds text, not a video"),
    "picture as a video": ("caption", lambda f: saved(f / "a.mp4", "RGB", format="PNG"), "!is a picture, not a video"),
    "empty video": ("caption", lambda f: written(f / "a.mp4", b""), "!is empty (0 bytes)"),
    "video with a broken tail": ("caption", lambda f: broken_tail(f / "a.mkv"), "A picture 160 wide, as sentence."),
    "video without sound": ("transcribe", lambda f: video(f / "a.mp4", [("red", 1.0)]), "!has no sound"),
    "mono 8 kHz": ("transcribe", lambda f: sound(f / "a.wav", 8_000, 1, subtype="ULAW"), HEARD),
    "6 channels 96 kHz": ("transcribe", lambda f: sound(f / "a.wav", 96_000, 6), HEARD),
    "recording with a broken tail": ("transcribe", lambda f: cut(sound(f / "a.wav", 16_000, 1), 0.6), HEARD),
    "text renamed .wav": ("transcribe", lambda f: written(f / "a.wav", b"la la la"), "!holds text, not a recording"),
    "empty recording": ("transcribe", lambda f: written(f / "a.mp3", b""), "!is empty (0 bytes)"),
}  # fmt: skip
"""The task it is dropped on, the file, and what is said of it; after `!` the sentence that refuses it."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One studio for all of them, as one server has it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("studio")
        install(folder, patch)
        studio = Studio(Settings(home=str(folder / "home"), device="cpu", offline=True))
        yield studio
        studio.close()


def said(studio: Studio, task: str, *files: Path) -> list[Result]:
    """The finished results of one request."""
    events = studio.run(task, files, OPTIONS[task])
    return [event for event in events if isinstance(event, Result) and event.done]


@pytest.mark.parametrize("name", CASES)
def test_it_is_handled_or_refused_in_one_sentence_and_the_next_request_works(
    studio: Studio, tmp_path: Path, name: str
) -> None:
    task, make, expected = CASES[name]
    make_good, good_text = GOOD[task]
    odd, good = make(tmp_path), make_good(tmp_path)
    if expected.startswith("!"):
        with pytest.raises(InputError) as refused:
            said(studio, task, odd)
        sentence = str(refused.value)
        assert sentence.startswith(f"{odd.name} {expected[1:]}")
        assert sentence.endswith(".") and ". " not in sentence
        together = said(studio, task, odd, good)
        assert [(Path(one.file), one.error, one.text) for one in together] == [
            (odd, sentence, ""),
            (good, "", good_text),
        ]
    else:
        (one,) = said(studio, task, odd)
        assert (one.text, one.error) == (expected, "")
    (one,) = said(studio, task, good)
    assert (one.file, one.text, one.error) == (str(good), good_text, "")


def test_silence_is_given_no_words(studio: Studio, tmp_path: Path) -> None:
    quiet = sound(tmp_path / "quiet.wav", 16_000, 1, loud=0.0)
    events = studio.run("transcribe", [quiet], {"model": "fake-ear"})  # the fake hears words in whatever it is given
    (one,) = (event for event in events if isinstance(event, Transcript) and event.done)
    assert (one.text, one.provenance.notes) == ("", ("No speech was found.",))


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (6, 4)], ids=["48-bit RGB", "64-bit RGBA"])
def test_sixteen_bits_a_colour_keep_their_colours(tmp_path: Path, kind: int, channels: int) -> None:
    from mmdemo.media.images import open_image

    row = struct.pack(f">{channels}H", 0xC8A1, 0x1E02, 0x40FF, 0xFFFF)[: 2 * channels] if channels == 4 else b""
    row = row or struct.pack(">3H", 0xC8A1, 0x1E02, 0x40FF)
    picture = open_image(png(tmp_path / "a.png", 8, 4, 16, kind, row * 8), Settings())
    assert (picture.mode, picture.size) == ("RGB", (8, 4))
    found = picture.getpixel((3, 2))
    assert max(abs(a - b) for a, b in zip(found, (0xC8, 0x1E, 0x40), strict=True)) <= 1  # type: ignore[arg-type]
